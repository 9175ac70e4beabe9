//! Stacks that were seen, counted and drawn: who was called by whom, as wide as the time it took.

use std::collections::BTreeMap;
use std::fmt::Write as _;

const WIDTH: f64 = 1_200.0;
const ROW: f64 = 17.0;
/// Room for the title, above the frames.
const TOP: f64 = 30.0;
/// What is narrower is left out.
const NARROWEST: f64 = 0.6;
/// Width of a letter.
const LETTER: f64 = 6.2;
/// The deepest frame that is drawn.
const DEEPEST: usize = 48;
const KERNEL: &str = "#e8a33d";
const OURS: &str = "#6ea8fe";
const CIPHER: &str = "#b197fc";
const OTHER: &str = "#c3cad4";

/// A function under another, and how often it was seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Frame {
    count: u64,
    is_kernel: bool,
    callees: BTreeMap<String, Self>,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Folded(Frame);

impl Folded {
    /// Reads what `perf script` prints of `comm,pid,tid,ip,sym`; `names` are those of the processes.
    pub(super) fn read(text: &str, names: &[(u32, &str)]) -> Self {
        let mut all = Self::default();
        for sample in text.split("\n\n") {
            let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
            let Some((thread, pid)) = lines.next().and_then(header) else { continue };
            let Some((_, name)) = names.iter().find(|(known, _)| *known == pid) else { continue };
            let mut stack: Vec<(String, bool)> = lines.filter_map(frame).collect();
            stack.push((thread, false));
            stack.push(((*name).to_owned(), false));
            all.add(stack.into_iter().rev());
        }
        all
    }

    fn add(&mut self, stack: impl Iterator<Item = (String, bool)>) {
        let mut place = &mut self.0;
        place.count += 1;
        for (name, is_kernel) in stack.take(DEEPEST) {
            place = place.callees.entry(name).or_default();
            place.count += 1;
            place.is_kernel = is_kernel;
        }
    }

    /// How many samples there are.
    pub(super) const fn count(&self) -> u64 {
        self.0.count
    }

    /// Of each end: the share of the samples with the kernel, the cipher and the rest of the program on top.
    pub(super) fn shares(&self) -> String {
        let mut text =
            "| | all | kernel | cipher | rest of tinmesh |\n| --- | ---: | ---: | ---: | ---: |\n".to_owned();
        let share = |count: u64| format!("{:.0} %", 100.0 * count as f64 / self.0.count.max(1) as f64);
        for (name, end) in &self.0.callees {
            let [kernel, cipher, rest] = end.on_top(name);
            let cells = [end.count, kernel, cipher, rest].map(share).join(" | ");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {name} | {cells} |");
        }
        text
    }

    /// The picture, with callers below those that they call.
    pub(super) fn draw(&self, title: &str) -> String {
        let scale = WIDTH / self.0.count.max(1) as f64;
        let depth = self.0.depth(scale);
        let height = TOP + depth as f64 * ROW + 10.0;
        let mut body = String::new();
        self.0.draw_callees(&mut body, scale, (0.0, height - ROW - 5.0));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" font-family=\"monospace\" font-size=\"10\">\n<rect width=\"100%\" height=\"100%\" \
             fill=\"white\"/>\n<text x=\"8\" y=\"18\" font-size=\"13\" font-family=\"sans-serif\">{} (orange: kernel, blue: \
             tinmesh, violet: cipher)</text>\n{body}</svg>\n",
            escaped(title)
        )
    }
}

impl Frame {
    /// Samples that ended in the kernel, in the cipher and elsewhere.
    fn on_top(&self, name: &str) -> [u64; 3] {
        let own = self.count - self.callees.values().map(|callee| callee.count).sum::<u64>();
        let mut counts = [0; 3];
        counts[if self.is_kernel {
            0
        } else if is_cipher(name) {
            1
        } else {
            2
        }] = own;
        for (name, callee) in &self.callees {
            counts.iter_mut().zip(callee.on_top(name)).for_each(|(count, more)| *count += more);
        }
        counts
    }

    /// How many frames stand on each other, of those that are wide enough.
    fn depth(&self, scale: f64) -> usize {
        let wide = self.callees.values().filter(|callee| callee.count as f64 * scale >= NARROWEST);
        wide.map(|callee| 1 + callee.depth(scale)).max().unwrap_or(0)
    }

    fn draw_callees(&self, body: &mut String, scale: f64, (mut x, y): (f64, f64)) {
        for (name, callee) in &self.callees {
            let width = callee.count as f64 * scale;
            if width >= NARROWEST {
                callee.draw_one(body, name, (x, y), width);
                callee.draw_callees(body, scale, (x, y - ROW));
            }
            x += width;
        }
    }

    fn draw_one(&self, body: &mut String, name: &str, (x, y): (f64, f64), width: f64) {
        let colour = match name {
            _ if self.is_kernel => KERNEL,
            _ if is_cipher(name) => CIPHER,
            _ if name.contains("tinmesh") => OURS,
            _ => OTHER,
        };
        let share = width / WIDTH * 100.0;
        let room = ((width - 4.0) / LETTER).max(0.0) as usize;
        let shown: String = if room < 3 { String::new() } else { short(name).chars().take(room).collect() };
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "<g><title>{name} {share:.1} %</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" \
             fill=\"{colour}\" stroke=\"white\" stroke-width=\"0.5\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
            ROW - 1.0,
            x + 2.0,
            y + 11.5,
            escaped(&shown),
            name = escaped(name),
        );
    }
}

/// Command and process of a sample: `worker 12/34`, with blanks inside perhaps.
fn header(line: &str) -> Option<(String, u32)> {
    let (thread, ids) = line.trim().rsplit_once(char::is_whitespace)?;
    let pid = ids.trim_end_matches(':').split('/').next()?.parse().ok()?;
    Some((thread.trim().to_owned(), pid))
}

/// A function, and whether it is the kernel's: those live in the upper half of all addresses. `None` without a name.
fn frame(line: &str) -> Option<(String, bool)> {
    let (address, name) = line.trim().split_once(' ').filter(|(_, name)| *name != "[unknown]")?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let name = name.split("::h").next().filter(|_| has_hash(name)).unwrap_or(name);
    Some((name.to_owned(), address >> 63 == 1))
}

/// Rust's names may end in a hash of 16 digits.
fn has_hash(name: &str) -> bool {
    name.rsplit_once("::h")
        .is_some_and(|(_, hash)| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Ours and that of the library that has AES.
fn is_cipher(name: &str) -> bool {
    ["tinmesh_cipher", "aws_lc", "aes", "gcm"].iter().any(|part| name.contains(part))
}

/// The last two parts of a path.
fn short(name: &str) -> &str {
    let plain = name.split('<').next().filter(|start| !start.is_empty()).unwrap_or(name);
    let starts: Vec<usize> = plain.match_indices("::").map(|(at, _)| at + 2).collect();
    starts.len().checked_sub(2).and_then(|at| plain.get(starts[at]..)).unwrap_or(plain)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: &str = "worker 0 12/13 \n\tffffffff81000001 udp_sendmsg\n\t 55d0 tinmesh_os::udp::batch::send::h0123456789abcdef\n\n\
        worker 0 12/13 \n\t 55d1 tinmesh_cipher::seal<T>\n\t 7f00 [unknown]\n\nother 99/99 \n\t 55d2 main\n\n";

    #[test]
    fn stacks_of_the_named_processes_are_counted_by_what_is_on_top() {
        let folded = Folded::read(SEEN, &[(12, "sending end")]);
        assert_eq!(folded.count(), 2);
        assert!(folded.shares().contains("| sending end | 100 % | 50 % | 50 % | 0 % |"), "{}", folded.shares());
    }

    #[test]
    fn a_frame_is_as_wide_as_its_share_and_named_without_its_hash() {
        let drawn = Folded::read(SEEN, &[(12, "sending end")]).draw("a & b");
        assert_eq!(drawn.matches("width=\"600.0\"").count(), 3, "{drawn}");
        assert!(drawn.contains("<title>tinmesh_os::udp::batch::send 50.0 %</title>"), "{drawn}");
        assert!(drawn.contains("a &amp; b") && drawn.contains("tinmesh_cipher::seal&lt;T&gt;"), "{drawn}");
    }

    #[test]
    fn long_names_are_shown_by_their_end() {
        assert_eq!(short("tinmesh_core::dataplane::batch::seal"), "batch::seal");
        assert_eq!(short("main"), "main");
    }
}
