"""Makes the files that the text side is tested against, with transformers and diffusers.

    python Benchmarks/reference/text.py      # seconds; needs diffusers 0.42 and transformers 5

All goes to Tests/LatentDiffusionTests/Fixtures/text:

model/              a model of SDXL's shape in diffusers' layout with random weights, small enough to keep: two text encoders (quick_gelu
                    in float32, gelu with a projection in a float16 variant), their tokenizers in the files that CLIP's have (vocab.json
                    and merges.txt, learned here from the text below), U-Net, autoencoder, schedule
tokens.json         texts and the ids of transformers' CLIPTokenizer for them, with the special tokens declared in three ways; without
                    padding and truncation
text.safetensors    PROMPT.context (1, 77, 48), PROMPT.pooled (1, 16): StableDiffusionXLPipeline.encode_prompt of prompts.json's
                    prompts, by number; legacy.*: the first encoder under the old rule for the end of a text (eos_token_id 2);
                    last: the first encoder's last state of prompt 1; unet.*: noise predicted without guidance and with
prompts.json        the prompts
"""

import json
import pathlib
import random
import shutil
import unicodedata

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "Tests/LatentDiffusionTests/Fixtures/text"
START, END = "<|startoftext|>", "<|endoftext|>"

TRAINING = """
a photo of a cat and a dog, highly detailed, sharp focus. the quick brown fox jumps over the lazy dog. an aerial photograph of the
mountains at sunset, with snow; a portrait of an old man's face, wearing a hat. it's a beautiful day and we're here, they've gone, i'd say
i'm sure you'll see what he can't. a video frame of the street in the rain at night: 1080p, 4k, high definition, no blur, no noise, no
artefacts. restored film of a river, trees, grass and flowers in the wind. the cafe, the facade, naive and resume. café façade naïve
résumé über straße привет мир привет мир こんにちは 世界 世界 中文 字 中文 字 안녕 안녕 नमस्ते 😀 😀 👩‍👩‍👧 … — “ ” ... !!! ??? ( ) [ ] <| |> 12345 67890
"""

PROMPTS = [
    "",
    "a photo of a cat",
    "Blurry, low quality; it's NOISY!",
    "a river, trees and flowers in the wind, " * 12,
    "中文 😀 café",
]


def byte_letters():
    """CLIP's table from bytes to printable characters, in the order of its vocabulary."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + n) for n, b in enumerate(others)}


def learn(text, count):
    """Byte pairs by frequency, the first found first where there are as many: a word's last letter has </w> behind it."""
    letters = byte_letters()
    words = {}
    for word in text.lower().split():
        encoded = [letters[b] for b in word.encode()]
        encoded[-1] += "</w>"
        words[tuple(encoded)] = words.get(tuple(encoded), 0) + 1
    merges = []
    while len(merges) < count:
        pairs = {}
        for word, number in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] = pairs.get(pair, 0) + number
        if not pairs:
            break
        best = max(pairs, key=pairs.get)
        merges.append(best)
        merged = {}
        for word, number in words.items():
            result, i = [], 0
            while i < len(word):
                if word[i : i + 2] == best:
                    result.append(word[i] + word[i + 1])
                    i += 2
                else:
                    result.append(word[i])
                    i += 1
            merged[tuple(result)] = merged.get(tuple(result), 0) + number
        words = merged
    return merges


def declared(way, pad):
    """tokenizer_config.json and special_tokens_map.json, as CLIP's tokenizers have had them over the years."""
    config = {"model_max_length": 77, "do_lower_case": True, "tokenizer_class": "CLIPTokenizer", "add_prefix_space": False}

    def token(content, normalized, **more):
        return {"content": content, "lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False} | more

    if way == "objects":  # SDXL's
        tokens = {"bos_token": token(START, True), "eos_token": token(END, True), "unk_token": token(END, True)}
        marked = {key: {"__type": "AddedToken"} | value for key, value in tokens.items()}
        return config | marked | {"pad_token": pad}, tokens | {"pad_token": pad}
    if way == "plain":
        tokens = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": pad}
        return config | tokens, tokens
    ids = {START: -2, END: -1} | ({pad: 0} if pad != END else {})
    decoder = {content: token(content, content == START, special=True) for content in ids}
    tokens = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": pad}
    return config | tokens | {"added_tokens_decoder": decoder}, None


def write_tokenizer(folder, vocab, merges, way, pad):
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    config, tokens = declared(way, pad)
    if "added_tokens_decoder" in config:
        config["added_tokens_decoder"] = {str(vocab[name]): value for name, value in config["added_tokens_decoder"].items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    if tokens:
        (folder / "special_tokens_map.json").write_text(json.dumps(tokens, indent=1))


def texts():
    chosen = [
        *PROMPTS,
        " ", "\t\n  a  cat \r\n", "a\u00a0cat\u3000and\u2003dog", "A PHOTO OF A CAT", "it's they've we're I'm you'll he'd can't 'sorry 'rest",
        "IT'S THEY'VE", "it’s", "cats' tails", "''s '' 's", "don't!'s", "!!!", "a!", "!a", "hello, world!? ...", "1080p 4k 12345 ½ ² ① Ⅷ ٣",
        "x<|endoftext|>y", "<|startoftext|>", "<|STARTOFTEXT|> a", "!<|endoftext|>!", "<|endoftext|>!", "<|endoftext|", "<||>",
        "cafe\u0301 façade naïve", "e\u0301\u0323 q\u0307\u0323", "\u212b \u2126 \ufb01 \u1e9e ß", "İstanbul Iı ΑΣ Σ ὈΔΥΣΣΕΎΣ ǅ Ǆ",
        "привет Мир", "中文字 世界 こんにちは ガ カ\u3099 안녕 \u1112\u1161\u11ab", "नमस्ते สวัสดี مَرْحَبًا שָׁלוֹם", "😀👍🏽 👩‍👩‍👧 🇩🇪 ☃\ufe0f",
        "a\u200db \u200b c\u00ad \ufeff x", "tab\u0000nul \u0007bell \u0085next \u2028line", "\U0001d400\U0001d7d8 𠀀 \U0010fffd \ue000 \uffff",
        "mm² €5 £3 – — … “quoted” ‘single’", "a_b-c.d/e\\f@g#h$i%j^k&l*m(n)o+p=q[r]s{t}u|v~w`x", "0" * 100, "cat " * 100,
        "ﷺ ㎏ ㍿ ｆｕｌｌ", "\u0300a \u0301", "가각갂 \u1100\u1161", "’s 'S 'LL 'Ve", "I'mma", "₿ ¢ ° µ ª º ¹",
    ]
    # Characters of every kind: not only those that someone thought of.
    rng = random.Random(7)
    pools = [
        range(0x20, 0x7F), range(0x20, 0x7F), range(0xA0, 0x250), range(0x300, 0x370), range(0x370, 0x530), range(0x900, 0xA00),
        range(0x1E00, 0x2070), range(0x2100, 0x2200), range(0x3040, 0x3100), range(0x4E00, 0x4F00), range(0xAC00, 0xAD00),
        range(0x1F600, 0x1F650), "abcdeinorst '!",
    ]
    for _ in range(150):
        pool = [rng.choice(pools) for _ in range(3)]
        text = "".join(c if isinstance(c := rng.choice(rng.choice(pool)), str) else chr(c) for _ in range(rng.randrange(1, 16)))
        # What was not assigned in Unicode 14 may be anything elsewhere.
        chosen.append("".join(c for c in text if unicodedata.category(c) != "Cn"))
    return chosen


def main():
    shutil.rmtree(FIXTURES, ignore_errors=True)
    model = FIXTURES / "model"
    merges = learn(TRAINING, 220)
    letters = list(byte_letters().values())
    symbols = letters + [letter + "</w>" for letter in letters] + [a + b for a, b in merges] + [START, END]
    vocab = {symbol: number for number, symbol in enumerate(symbols)}
    size = len(vocab)
    write_tokenizer(model / "tokenizer", vocab, merges, "objects", END)
    write_tokenizer(model / "tokenizer_2", vocab, merges, "objects", "!")

    ways = {}
    for way, pad in ("objects", "!"), ("plain", END), ("decoder", "!"):
        folder = FIXTURES / "scratch" / way
        write_tokenizer(folder, vocab, merges, way, pad)
        tokenizer = CLIPTokenizer.from_pretrained(folder)
        ways[way] = {
            "tokenizer_config.json": json.loads((folder / "tokenizer_config.json").read_text()),
            "special_tokens_map.json": json.loads((folder / "special_tokens_map.json").read_text()) if way != "decoder" else None,
            "pad": tokenizer.pad_token_id,
            "ids": [tokenizer(text).input_ids[1:-1] for text in texts()],
        }
    shutil.rmtree(FIXTURES / "scratch")
    (FIXTURES / "tokens.json").write_text(
        json.dumps({"texts": texts(), "ways": ways}, separators=(",", ":")), encoding="utf-8"
    )

    torch.manual_seed(0)
    common = dict(vocab_size=size, max_position_embeddings=77, bos_token_id=size - 2, eos_token_id=size - 1, initializer_factor=8.0)
    first = CLIPTextConfig(
        hidden_size=16, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, hidden_act="quick_gelu",
        pad_token_id=size - 1, **common,
    )
    second = CLIPTextConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, hidden_act="gelu", projection_dim=16,
        pad_token_id=0, **common,
    )
    encoders = CLIPTextModel(first).eval(), CLIPTextModelWithProjection(second).eval()
    for encoder in encoders:  # Biases and norms of fresh networks are 0 and 1, which would hide that they are not used.
        for name, parameter in encoder.named_parameters():
            if name.endswith("bias") or "norm" in name:
                parameter.data += 0.3 * torch.randn_like(parameter)
            parameter.data = parameter.data.half().float()
    unet = UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=48,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1), attention_head_dim=(1, 2), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=4, projection_class_embeddings_input_dim=40,
    ).eval()
    vae = AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4,
        norm_num_groups=4, scaling_factor=0.13025, sample_size=32,
    ).eval()
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1,
        timestep_spacing="leading",
    )
    tokenizers = [CLIPTokenizer.from_pretrained(model / name) for name in ("tokenizer", "tokenizer_2")]
    pipeline = StableDiffusionXLPipeline(vae, encoders[0], encoders[1], tokenizers[0], tokenizers[1], unet, scheduler)
    pipeline.save_config(model)
    unet.save_pretrained(model / "unet")
    vae.save_pretrained(model / "vae")
    scheduler.save_pretrained(model / "scheduler")
    result = {}
    with torch.inference_mode():
        for number, prompt in enumerate(PROMPTS):
            context, _, pooled, _ = pipeline.encode_prompt(prompt, device="cpu", do_classifier_free_guidance=False)
            result[f"{number}.context"], result[f"{number}.pooled"] = context, pooled
        # Guidance away from nothing (zeros) and from another prompt, as the pipeline does it.
        latents = torch.randn(2, 4, 8, 8)
        times = torch.tensor([[1024.0, 1024, 0, 0, 16, 16]]).repeat(2, 1)
        result["unet.latents"] = latents
        for name, negative in ("zeros", None), ("negative", PROMPTS[2]):
            context, null, pooled, nullpooled = pipeline.encode_prompt(
                PROMPTS[1], device="cpu", do_classifier_free_guidance=True, negative_prompt=negative
            )

            def noise(context, pooled):
                extra = {"text_embeds": pooled.repeat(2, 1), "time_ids": times}
                return unet(latents, 281, encoder_hidden_states=context.repeat(2, 1, 1), added_cond_kwargs=extra).sample

            text, other = noise(context, pooled), noise(null, nullpooled)
            result["unet.text"] = text
            result[f"unet.{name}"] = other + 5 * (text - other)
        ids = tokenizers[0](PROMPTS[:3], padding="max_length", max_length=77, return_tensors="pt").input_ids
        result["last"] = encoders[0](ids[1:2]).last_hidden_state
        encoders[0].eos_token_id = 2
        pooled = encoders[0](ids).pooler_output
        result["legacy.ids"], result["legacy.pooled"] = ids, pooled
    encoders[0].save_pretrained(model / "text_encoder")
    encoders[1].half().save_pretrained(model / "text_encoder_2", variant="fp16")
    save_file({name: tensor.contiguous().clone() for name, tensor in result.items()}, FIXTURES / "text.safetensors")
    (FIXTURES / "prompts.json").write_text(json.dumps(PROMPTS, indent=1))
    print({str(p.relative_to(FIXTURES)): p.stat().st_size for p in sorted(FIXTURES.rglob("*")) if p.is_file()})


if __name__ == "__main__":
    main()
