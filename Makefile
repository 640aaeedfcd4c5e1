# What people and scripts rely on; CONTRIBUTING.md says when to use which.
.PHONY: setup demo run test lint fmt gen bench

# Built without optimisation: it is there in a third of the time, compiles beside the other code,
# and the hard work is done by FFmpeg (docs/decisions/0005).
BOREALIS := cargo run --locked --

DENY := .tools/cargo-deny-0.20.2
MACHETE := .tools/cargo-machete-0.9.2

## What building and running need, without root: checks the compilers, fetches the media tools.
setup:
	@scripts/setup.sh

## A video goes in, four formats and a signed callback come out. FILE=… takes your own.
demo: setup
	@$(BOREALIS) demo $${FILE:+"$$FILE"}

## The server, on http://127.0.0.1:8080, with its data in ./data.
run: setup
	@$(BOREALIS) serve --data-dir ./data

## Every test. Root gets the Debian packages that only tests need; others are told the line to run.
test: setup
	@scripts/test-packages.sh
	@scripts/test-media.sh
	cargo test --locked --workspace --doc --quiet
	@if cargo nextest --version >/dev/null 2>&1; then set -x; cargo nextest run --locked --workspace; \
	else set -x; cargo test --locked --workspace --lib --bins --tests; fi

## Format, clippy, dependencies (unused ones, licences, sources) and the arrows between the crates.
lint: $(DENY) $(MACHETE)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	$(DENY)/bin/cargo-deny --locked check bans licenses sources
	$(MACHETE)/bin/cargo-machete
	@! cargo tree --locked --package borealis-model --edges normal --prefix none | \
		grep -E '^(tokio|sqlx|sea-orm|reqwest|hyper|axum) ' || \
		{ echo 'lint: borealis-model is pure: no runtime, no SQL, no HTTP'; exit 1; }

fmt:
	cargo fmt --all

## Writes docs/settings.md, docs/formats.md, docs/limits.md and docs/openapi.json again, out of the code.
gen:
	UPDATE_DOCS=1 cargo test --locked --package borealis --package borealis-model --lib --test it generated

## The figures of docs/figures.md, measured on this machine.
bench: setup
	@scripts/test-servers.sh
	cargo bench --locked --bench '*'

# Unoptimised as well: a minute instead of five, and it runs for a second.
$(DENY) $(MACHETE): .tools/cargo-%:
	CARGO_PROFILE_DEV_DEBUG=false cargo install --quiet --debug --locked --root $@ cargo-$(subst -,@,$*)
