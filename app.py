"""The front door of Lightbox: reads the settings, builds the site and serves it. A Space runs this file."""

import os
import sys

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: any other value calls home at start


def main() -> None:
    """Serve until interrupted."""
    from pydantic import ValidationError

    from workbench.settings import settings

    try:
        chosen = settings()
        os.environ.setdefault("GRADIO_TEMP_DIR", str(chosen.uploads))  # private to this server, not the machine's shared /tmp
        from workbench.jobs import JobRefused
        from workbench.server import serve

        serve(chosen)
    except ValidationError as wrong:
        sys.exit(
            "\n".join(f"{'.'.join(map(str, error['loc'])) or 'settings'}: {error['msg']}" for error in wrong.errors(include_input=False))
        )
    except JobRefused as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    main()
