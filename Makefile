# `make help` says what there is. Everything that is fetched goes to .deps, everything that is made to .build, demo-out and prior-out.
.DEFAULT_GOAL := help
.PHONY: help setup build test check format demo bench tables prior clean distclean

PROGRAM = swift build -c release --product visionxl

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Fetch all that is missing: LibTorch, ffmpeg, curl, the networks, the demo's clips (Docs/Setup.md)
	@Scripts/setup.sh

build: ## Build the program, with what it takes to run: .build/release/visionxl
	@Scripts/setup.sh build enlarge
	$(PROGRAM)

test: ## Build and run every test (ARGS: options for swift test)
	@Scripts/setup.sh test enlarge
	@Scripts/test.sh $(ARGS)

check: ## Look at the form of the code, its imports and the examples (Scripts/check.sh)
	@Scripts/check.sh

format: ## Bring the code into the form that .swift-format describes
	swift format --in-place --parallel --recursive .

demo: ## Degrade a film in three ways, restore it, compare: demo-out
	@Scripts/setup.sh demo enlarge
	$(PROGRAM)
	@Scripts/demo.sh

bench: ## Measure speed against alternatives (Benchmarks/README.md)
	@Scripts/setup.sh demo enlarge
	$(PROGRAM)
	swift build -c release --product visionxl-bench
	@Scripts/bench.sh $(ARGS)

tables: ## Make tables of the documents again: Benchmarks/tables (ONLY=speed; an evening of a quiet machine)
	@Scripts/setup.sh demo test enlarge
	$(PROGRAM)
	@Scripts/tables.sh

prior: ## Train a prior like Models/builtin: prior-out (hours on a CPU; Training/README.md)
	@Scripts/prior.sh

clean: ## Remove what was built
	rm -rf .build demo-out

distclean: clean ## Remove what was fetched too
	rm -rf .deps
