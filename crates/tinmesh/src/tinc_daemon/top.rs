//! `tinc top`: the traffic of all nodes, drawn anew each second (spec: cli B.7).
//!
//! Drawn by hand: three lines of heading and one row for each node need no library.

mod keyboard;
mod screen;

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use keyboard::{Key, Keyboard};
use screen::{Screen, Wish};

use super::{Lent, Tool};

/// Shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);
/// Longest: a day.
const LONGEST: f64 = 86_400.0;
/// Switches to a page of its own, and hides the cursor.
const ENTER_PAGE: &str = "\x1b[?1049h\x1b[?25l";
/// And back.
const LEAVE_PAGE: &str = "\x1b[?25h\x1b[?1049l";

/// Shows traffic until the user has enough.
pub(super) fn run(tool: &Tool<'_>, out: &mut dyn Write) -> Result<()> {
    let client = tool.connect()?;
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        bail!("`{} top' needs a terminal: for a list of counters use `{} dump nodes'.", tool.program, tool.program);
    }
    let keyboard = Keyboard::open()?;
    let mut page = Page { out };
    page.put(ENTER_PAGE)?;
    let screen = Screen::new(tool.paths.netname.as_deref().unwrap_or_default());
    let end = Top { client, keyboard, screen, asked: None, interval: Duration::from_secs(1) }.run(&mut page);
    page.put(LEAVE_PAGE)?;
    end
}

struct Page<'a> {
    out: &'a mut dyn Write,
}

impl Page<'_> {
    fn put(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }
}

struct Top<'a> {
    client: Lent<'a>,
    keyboard: Keyboard,
    screen: Screen,
    /// When the daemon was asked last.
    asked: Option<Instant>,
    interval: Duration,
}

impl Top<'_> {
    fn run(mut self, page: &mut Page<'_>) -> Result<()> {
        loop {
            self.look()?;
            let next = Instant::now() + self.interval;
            loop {
                page.put(&self.screen.draw(self.keyboard.rows()))?;
                let Some(key) = self.keyboard.wait(next)? else { break };
                let Key::Typed(letter) = key else { return Ok(()) };
                match self.screen.on_key(letter) {
                    Wish::Quit => return Ok(()),
                    Wish::Delay => {
                        self.ask_delay(page)?;
                        break;
                    }
                    Wish::Nothing => {}
                }
            }
        }
    }

    fn look(&mut self) -> Result<()> {
        let counters = self.client.traffic()?;
        let now = Instant::now();
        let since = self.asked.replace(now).map(|asked| now.duration_since(asked));
        self.screen.update(&counters, since);
        Ok(())
    }

    /// Asks for a new interval on the second line; what is no number changes nothing.
    fn ask_delay(&mut self, page: &mut Page<'_>) -> Result<()> {
        let question = format!("Change delay from {:.1}s to: ", self.interval.as_secs_f64());
        let mut answer = String::new();
        loop {
            page.put(&format!("\x1b[2;1H\x1b[K{question}{answer}"))?;
            match self.keyboard.wait_long()? {
                Key::Typed('\r' | '\n') => break,
                Key::Typed('\x7f' | '\x08') => drop(answer.pop()),
                Key::Typed(letter) if letter.is_ascii_graphic() && answer.len() < 16 => answer.push(letter),
                Key::Typed(_) => {}
                Key::End => return Ok(()),
            }
        }
        if let Ok(seconds) = answer.parse::<f64>()
            && seconds.is_finite()
        {
            self.interval = Duration::from_secs_f64(seconds.clamp(0.0, LONGEST)).max(SHORTEST);
        }
        Ok(())
    }
}
