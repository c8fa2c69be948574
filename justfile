# The same scripts that CI and people run. `just` alone lists them.

_list:
    @just --list --unsorted

# the main job, end to end
demo *args:
    ./scripts/demo {{args}}

# every test
test *args:
    ./scripts/test {{args}}

# the tests of the domain alone, in seconds
domain:
    cargo test --no-default-features --lib

# everything that must hold before a change goes in
ci:
    ./.ci/run

# write the code in its one format
fmt:
    cargo fmt

# what clippy says of everything
lint:
    cargo clippy --all-targets -- -D warnings

# the policy's own tests under OPA
policy:
    opa test opa/ opa.tests/ -v

# what is wrong with the legal templates
legal:
    cargo run --quiet -- leg lint opa

# licences, bans, sources, advisories
deps:
    ./scripts/check-dependencies

# the benches
bench *args:
    cargo bench {{args}}
