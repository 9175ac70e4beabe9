//! One direction of a meta connection: a cipher that goes on for as long as the connection lives.
//!
//! Source: spec legacy-1.0, 3.2 and 3.3.

use std::fmt;

use chacha20::ChaCha20;
use chacha20::cipher::StreamCipher;

use super::block::{Block, Feedback};
use super::{Cipher, MAX_IV, Mode, chacha20};

/// A key must not encrypt more than this cipher may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more bytes than one key may encrypt")]
pub struct BudgetExceeded;

/// The cipher of one direction.
pub struct MetaStream {
    keyed: Keyed,
    /// Bytes that may still pass.
    budget: u64,
}

enum Keyed {
    Block { block: Block, mode: Mode, state: Feedback },
    ChaCha20(Box<ChaCha20>),
}

impl MetaStream {
    /// The stream whose key and IV are cut from the end of an RSA block; nothing if the cipher changes the length of
    /// what it encrypts, or the block is too short.
    pub fn from_block(cipher: Cipher, block: &[u8]) -> Option<Self> {
        let (rest, key) = block.split_at_checked(block.len().checked_sub(cipher.key_len())?)?;
        let (_, own_iv) = rest.split_at_checked(rest.len().checked_sub(cipher.iv_len())?)?;
        let mut iv = [0; MAX_IV];
        iv[..own_iv.len()].copy_from_slice(own_iv);
        let keyed = match cipher {
            Cipher::Block(family, mode @ (Mode::Cfb | Mode::Cfb8 | Mode::Ofb | Mode::Ctr)) => {
                let block = Block::new(family, key)?;
                let state = Feedback::new(&block, &iv);
                Keyed::Block { block, mode, state }
            }
            Cipher::Block(_, Mode::Ecb | Mode::Cbc) => return None,
            Cipher::ChaCha20 => Keyed::ChaCha20(Box::new(chacha20(key.try_into().ok()?, &iv))),
        };
        Some(Self { keyed, budget: budget(cipher) })
    }

    /// Encrypts the next bytes to send.
    ///
    /// # Errors
    /// If the key has served for too long.
    pub fn encrypt(&mut self, data: &mut [u8]) -> Result<(), BudgetExceeded> {
        self.apply(true, data)
    }

    /// Decrypts the next bytes that came.
    ///
    /// # Errors
    /// If the key has served for too long.
    pub fn decrypt(&mut self, data: &mut [u8]) -> Result<(), BudgetExceeded> {
        self.apply(false, data)
    }

    fn apply(&mut self, encrypts: bool, data: &mut [u8]) -> Result<(), BudgetExceeded> {
        self.budget = self.budget.checked_sub(data.len() as u64).ok_or(BudgetExceeded)?;
        match &mut self.keyed {
            Keyed::Block { block, mode, state } => block.feed(*mode, state, encrypts, data),
            Keyed::ChaCha20(cipher) => cipher.try_apply_keystream(data).map_err(|_| BudgetExceeded)?,
        }
        Ok(())
    }
}

/// 2 to the power of 4 × length of the IV − 1, which is that of a block.
const fn budget(cipher: Cipher) -> u64 {
    match cipher.iv_len() {
        16.. => 1 << 63,
        len => 1 << (4 * len - 1),
    }
}

impl fmt::Debug for MetaStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetaStream").field("budget", &self.budget).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_when_its_budget_is_used_up() {
        let blowfish = Cipher::by_name("bf-ofb").unwrap();
        let mut stream = MetaStream::from_block(blowfish, &[1; 128]).unwrap();
        assert_eq!(stream.budget, 1 << 31);
        stream.budget = 10;

        assert_eq!(stream.encrypt(&mut [0; 10]), Ok(()));
        assert_eq!(stream.decrypt(&mut [0; 1]), Err(BudgetExceeded));

        assert_eq!(budget(Cipher::by_name("aes-256-cfb").unwrap()), 1 << 63);
    }
}
