//! SPTPS, keys and the random generator.
