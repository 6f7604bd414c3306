"""The pretrained networks that several methods share. Importing this loads nothing heavy; each backbone is a module of its own."""
