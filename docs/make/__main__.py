"""python -m docs.make: the pages, the site in build/site, and a check of it. Exit code 1 if anything is wrong."""

import os
import subprocess
import sys

from docs.make import check, pages, reference


def main() -> int:
    """Build; returns the exit code."""
    pages.write()
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(pages.BUILD / "mkdocs.yml")]
    path = os.pathsep.join([str(pages.ROOT), os.environ.get("PYTHONPATH", "")])
    if code := subprocess.run(command, env={**os.environ, "PYTHONPATH": path}).returncode:
        return code
    site = pages.BUILD / "site"
    found = check.problems(site) + check.undescribed(site, reference.pages())
    print("\n".join(found) or f"{site}: all names described, no link leads nowhere, nothing comes from other hosts")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
