"""The operator's command line; `python starter.py --help` lists what it can do."""

from console.main import run

if __name__ == "__main__":
    run()
