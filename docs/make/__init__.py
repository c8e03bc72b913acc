"""Makes the site: `python -m docs.make` writes its pages to build/docs, has Zensical build them, and checks links."""
