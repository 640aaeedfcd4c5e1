//! The program `borealis`: `borealis help` lists what it can do.

fn main() -> std::process::ExitCode {
    borealis::cli::main()
}
