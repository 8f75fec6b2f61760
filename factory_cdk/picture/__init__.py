"""Pictures of a stage for people: StageDesign → Picture → text, Mermaid or SVG. Pure; the same bytes every time."""
