//! Options as GNU's `getopt_long` reads them: grouped short ones, abbreviated long ones, optional arguments.

/// Whether an option takes an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// None.
    None,
    /// Always: `-cDIR`, `-c DIR`, `--config=DIR`, `--config DIR`.
    Required,
    /// Perhaps: `-dN`, `--debug=N`, and the next word unless it starts with `-`.
    Optional,
}

/// One option of a program.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec<K> {
    /// What it means.
    pub key: K,
    /// Its letter.
    pub short: Option<char>,
    /// Its long name, without dashes.
    pub long: &'static str,
    /// Whether it takes an argument.
    pub argument: Argument,
}

/// Where words that are no options may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Anywhere.
    Mixed,
    /// The first one ends the options.
    OptionsFirst,
}

/// Words, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<K> {
    /// The options with their arguments, in order.
    pub options: Vec<(K, Option<String>)>,
    /// The other words, in order.
    pub rest: Vec<String>,
}

/// What is wrong with an option, in the words of GNU's C library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// `--foo` is not an option.
    #[error("unrecognized option '--{0}'")]
    UnknownLong(String),
    /// `-x` is not an option.
    #[error("invalid option -- '{0}'")]
    UnknownShort(char),
    /// Several options start like this.
    #[error("option '--{typed}' is ambiguous; possibilities:{possibilities}")]
    Ambiguous {
        /// What was typed.
        typed: String,
        /// Each in quotes, with a blank in front.
        possibilities: String,
    },
    /// A long option lacks its argument.
    #[error("option '--{0}' requires an argument")]
    MissingLong(&'static str),
    /// A short option lacks its argument.
    #[error("option requires an argument -- '{0}'")]
    MissingShort(char),
    /// A long option takes no argument.
    #[error("option '--{0}' doesn't allow an argument")]
    Unwanted(&'static str),
}

/// Sorts `words` (without the program's name) by the options of `specs`.
///
/// # Errors
/// If a word looks like an option and is none of these, or has an argument too few or too many.
pub fn parse<K: Copy>(specs: &[OptionSpec<K>], words: &[String], order: Order) -> Result<Parsed<K>, OptionError> {
    let mut parser = Parser { specs, words, next: 0, options: Vec::new() };
    let mut rest = Vec::new();
    while let Some(word) = parser.take() {
        if word == "--" {
            break;
        } else if let Some(long) = word.strip_prefix("--") {
            parser.on_long(long)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            parser.on_short(letters)?;
        } else {
            rest.push(word.to_owned());
            if order == Order::OptionsFirst {
                break;
            }
        }
    }
    rest.extend(words.get(parser.next..).unwrap_or_default().iter().cloned());
    Ok(Parsed { options: parser.options, rest })
}

struct Parser<'a, K> {
    specs: &'a [OptionSpec<K>],
    words: &'a [String],
    next: usize,
    options: Vec<(K, Option<String>)>,
}

impl<'a, K: Copy> Parser<'a, K> {
    fn take(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    fn take_argument(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.next).filter(|word| !word.starts_with('-'))?;
        self.next += 1;
        Some(word)
    }

    fn on_long(&mut self, text: &str) -> Result<(), OptionError> {
        let (typed, attached) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let spec = self.find_long(typed)?;
        let argument = match (spec.argument, attached) {
            (Argument::None, Some(_)) => return Err(OptionError::Unwanted(spec.long)),
            (Argument::None, None) => None,
            (Argument::Required | Argument::Optional, Some(value)) => Some(value),
            (Argument::Required, None) => Some(self.take().ok_or(OptionError::MissingLong(spec.long))?),
            (Argument::Optional, None) => self.take_argument(),
        };
        self.options.push((spec.key, argument.map(str::to_owned)));
        Ok(())
    }

    fn find_long(&self, typed: &str) -> Result<OptionSpec<K>, OptionError> {
        if let Some(exact) = self.specs.iter().find(|spec| spec.long == typed) {
            return Ok(*exact);
        }
        let mut matching = self.specs.iter().filter(|spec| spec.long.starts_with(typed));
        let first = matching.next().ok_or_else(|| OptionError::UnknownLong(typed.to_owned()))?;
        let mut possibilities = format!(" '--{}'", first.long);
        for other in matching {
            possibilities.push_str(&format!(" '--{}'", other.long));
        }
        if possibilities.matches("'--").count() > 1 {
            return Err(OptionError::Ambiguous { typed: typed.to_owned(), possibilities });
        }
        Ok(*first)
    }

    fn on_short(&mut self, letters: &str) -> Result<(), OptionError> {
        let mut left = letters.chars();
        while let Some(letter) = left.next() {
            let found = self.specs.iter().find(|spec| spec.short == Some(letter));
            let spec = *found.ok_or(OptionError::UnknownShort(letter))?;
            let attached = Some(left.as_str()).filter(|text| !text.is_empty());
            let argument = match (spec.argument, attached) {
                (Argument::None, _) => None,
                (Argument::Required | Argument::Optional, Some(value)) => Some(value),
                (Argument::Required, None) => Some(self.take().ok_or(OptionError::MissingShort(letter))?),
                (Argument::Optional, None) => self.take_argument(),
            };
            self.options.push((spec.key, argument.map(str::to_owned)));
            if spec.argument != Argument::None {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPECS: &[OptionSpec<char>] = &[
        OptionSpec { key: 'c', short: Some('c'), long: "config", argument: Argument::Required },
        OptionSpec { key: 'd', short: Some('d'), long: "debug", argument: Argument::Optional },
        OptionSpec { key: 'D', short: Some('D'), long: "no-detach", argument: Argument::None },
        OptionSpec { key: 'p', short: None, long: "pidfile", argument: Argument::Required },
        OptionSpec { key: 'P', short: None, long: "pid", argument: Argument::None },
        OptionSpec { key: 'h', short: None, long: "help", argument: Argument::None },
        OptionSpec { key: 'H', short: None, long: "hello", argument: Argument::None },
    ];

    fn words(text: &str) -> Vec<String> {
        text.split_ascii_whitespace().map(str::to_owned).collect()
    }

    fn read(text: &str) -> Result<String, OptionError> {
        let parsed = parse(SPECS, &words(text), Order::Mixed)?;
        let options: Vec<String> = parsed
            .options
            .into_iter()
            .map(|(key, argument)| argument.map_or_else(|| key.to_string(), |argument| format!("{key}={argument}")))
            .collect();
        Ok(format!("{} | {}", options.join(" "), parsed.rest.join(" ")))
    }

    #[test]
    fn arguments_may_be_attached_or_follow() {
        for text in ["-c DIR", "-cDIR", "--config DIR", "--config=DIR", "--conf=DIR"] {
            assert_eq!(read(text).unwrap(), "c=DIR | ", "{text}");
        }
    }

    #[test]
    fn short_options_may_be_grouped() {
        assert_eq!(read("-Dd5").unwrap(), "D d=5 | ");
        assert_eq!(read("-DcDIR").unwrap(), "D c=DIR | ");
    }

    #[test]
    fn an_optional_argument_may_follow_if_it_is_no_option() {
        assert_eq!(read("-d 5").unwrap(), "d=5 | ");
        assert_eq!(read("--debug 5").unwrap(), "d=5 | ");
        assert_eq!(read("-d -d -D").unwrap(), "d d D | ");
    }

    #[test]
    fn a_whole_name_wins_over_longer_ones() {
        assert_eq!(read("--pid").unwrap(), "P | ");
        assert_eq!(read("--pidf=x").unwrap(), "p=x | ");
    }

    #[test]
    fn words_may_stand_between_options_unless_the_first_ends_them() {
        assert_eq!(read("a -D b -- -c").unwrap(), "D | a b -c");
        let parsed = parse(SPECS, &words("-D start -D"), Order::OptionsFirst).unwrap();
        assert_eq!((parsed.options.len(), parsed.rest), (1, words("start -D")));
        assert_eq!(read("- -D").unwrap(), "D | -");
    }

    #[test]
    fn messages_are_those_of_the_c_library() {
        let message = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(message("--foo"), "unrecognized option '--foo'");
        assert_eq!(message("-x"), "invalid option -- 'x'");
        assert_eq!(message("-c"), "option requires an argument -- 'c'");
        assert_eq!(message("--config"), "option '--config' requires an argument");
        assert_eq!(message("--help=1"), "option '--help' doesn't allow an argument");
        assert_eq!(message("--hel"), "option '--hel' is ambiguous; possibilities: '--help' '--hello'");
    }

    proptest! {
        #[test]
        fn no_words_make_the_parser_panic(words: Vec<String>) {
            let _ = parse(SPECS, &words, Order::Mixed);
            let _ = parse(SPECS, &words, Order::OptionsFirst);
        }
    }
}
