"""`python -m backup_worker`: the command where it isn't installed."""

from backup_worker.cli import main

if __name__ == "__main__":
    main()
