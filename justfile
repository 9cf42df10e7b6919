# What developers type. `just` lists it; `just ci` is what CI runs.

set shell := ["bash", "-euo", "pipefail", "-c"]

_list:
    @just --list --unsorted

# The demonstration month, in a data folder of its own.
demo *args:
    cargo run -- demo {{ args }}

# Everything, against a real PostgreSQL that the tests start themselves.
test *args:
    cargo test --workspace {{ args }}

# Layout of the code.
fmt:
    cargo fmt

# What clippy and the house rules say.
lint:
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test -p snapshots --test tidy

# Metadata of every query in .sqlx/, from a private cluster made for it and thrown away.
prepare:
    .ci/sqlx prepare

# Look at changed snapshots one by one (cargo install cargo-insta).
snapshots:
    cargo insta test --workspace --review --unreferenced=reject

# Speeds, each beside a reference of the same run.
bench *args:
    cargo bench --workspace {{ args }}

# The private cluster: `just db start`, `just db stop`, `just db status`, `just db psql`.
db *args:
    cargo run -- db {{ args }}

# What CI runs, in its order.
ci:
    bash .ci/run
