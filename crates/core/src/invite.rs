//! Both ends of an invitation.
