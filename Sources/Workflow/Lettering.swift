/// Letters of five columns and seven rows, for pictures that must say what they show on any machine.
enum Lettering {
    /// Each glyph from the blank to the tilde, five columns of two hexadecimal digits, the lowest bit at the top.
    private static let glyphs = Array(
        """
        000000000000005F00000007000700147F147F14242A7F2A1223130864623649552250000503000000\
        1C2241000041221C0014083E081408083E08080050300000080808080800606000002010080402\
        3E5149453E00427F400042615149462141454B311814127F1027454545393C4A4949300171090503\
        3649494936064949291E00363600000056360000081422410014141414140041221408020151090\
        6324979413E7E1111117E7F494949363E414141227F4141221C7F494949417F090909013E4149497A\
        7F0808087F00417F41002040413F017F081422417F404040407F020C027F7F0408107F3E4141413E\
        7F090909063E4151215E7F09192946464949493101017F01013F4040403F1F2040201F3F4038403F\
        631408146307087008076151494543007F41410002040810200041417F0004020102044040404040\
        000102040020545454787F484444383844444420384444487F3854545418087E0901020C5252523E\
        7F0804047800447D40002040443D007F1028440000417F40007C041804787C080404783844444438\
        7C14141408081414187C7C080404084854545420043F4440203C4040207C1C2040201C3C4030403C\
        44281028440C5050503C4464544C44000836410000007F000000413608001008081008
        """.utf8)

    /// Columns of a text: five a letter, and a blank one behind each.
    static func columns(_ text: String) -> [UInt8] {
        func digit(_ character: UInt8) -> UInt8 { character < 65 ? character - 48 : character - 55 }
        return text.unicodeScalars.flatMap { scalar -> [UInt8] in
            // What has no glyph is a question mark.
            let place = (32...126).contains(scalar.value) ? Int(scalar.value) - 32 : 31
            let columns = (0..<5).map { column -> UInt8 in
                let start = place * 10 + column * 2
                return digit(glyphs[start]) << 4 | digit(glyphs[start + 1])
            }
            return columns + [0]
        }
    }
}
