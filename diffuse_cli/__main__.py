"""`python -m diffuse_cli`, the same as `diffuse`."""

from diffuse_cli.cli import main

if __name__ == "__main__":
    main()
