//! Storage backends behind one trait: memory and log
