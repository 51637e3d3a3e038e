"""`python -m gateway` and the command `hookgate`."""

from gateway.cli.main import cli


def main() -> None:
    """Run the command line; ends the process."""
    cli(prog_name="hookgate")


if __name__ == "__main__":
    main()
