"""The front door of Lightbox: reads the settings, builds the site and serves it. A Space runs this file."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: any other value calls home at start


def main() -> None:
    """Serve until interrupted."""
    from workbench.server import serve
    from workbench.settings import settings

    serve(settings())


if __name__ == "__main__":
    main()
