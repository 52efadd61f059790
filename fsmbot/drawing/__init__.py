"""Pictures of flows: shapes and arrows, as Mermaid, DOT, SVG or PNG, with what was visited marked."""
