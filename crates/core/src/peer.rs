//! Another node as seen from here.
