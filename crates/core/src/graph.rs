//! What is known of the mesh: nodes and edges.
