"""The version of Lightbox, written into every card and shown by the server's health page."""

VERSION = "0.1.0"
