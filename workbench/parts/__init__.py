"""What tabs share. Each part is a function that returns a Gradio component or fills the current layout; none knows a method."""
