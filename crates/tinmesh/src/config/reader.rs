//! Values by name and type, with tinc's complaints about those that are malformed (spec: configuration 3.1).

use std::time::Duration;

use tinmesh_core::subnet::Subnet;

use super::ConfigError;
use super::kind::{self, Kind, SubnetFault};
use super::syntax::{Setting, Settings};
use super::variables::Variable;

/// Reads typed values from settings, and gathers warnings.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    warnings: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(settings: &'a Settings, warnings: &'a mut Vec<String>) -> Self {
        Self { settings, warnings }
    }

    pub(super) fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    /// All values of a variable.
    pub(super) fn all(&self, variable: &'a str) -> impl Iterator<Item = &'a Setting> + use<'a> {
        self.settings.all(variable)
    }

    /// The setting that counts.
    pub(super) fn setting(&self, variable: &str) -> Option<&'a Setting> {
        self.settings.first(variable)
    }

    /// A value as it was written.
    pub(super) fn text(&self, variable: &str) -> Option<&'a str> {
        self.setting(variable).map(|setting| setting.value.as_str())
    }

    /// A value that is `yes` or `no`; another is told and does not count.
    pub(super) fn bool(&mut self, variable: &str) -> Option<bool> {
        let setting = self.setting(variable)?;
        let read = kind::bool(&setting.value);
        if read.is_none() {
            let place = &setting.place;
            self.warn(format!("\"yes\" or \"no\" expected for configuration variable {variable} in {place}"));
        }
        read
    }

    /// A number; another value is told and does not count.
    pub(super) fn int(&mut self, variable: &str) -> Option<i32> {
        let setting = self.setting(variable)?;
        let (value, place) = (&setting.value, &setting.place);
        let read = kind::int(value);
        match read {
            None => self.warn(format!("Integer expected for configuration variable {variable} in {place}")),
            Some(number) if number.to_string() != *value => {
                self.warn(format!("{variable} = {value} in {place} is read as {number}"));
            }
            Some(_) => {}
        }
        read
    }

    /// A number that must not be negative.
    pub(super) fn count(&mut self, variable: &'static str) -> Result<Option<u32>, ConfigError> {
        let Some(number) = self.int(variable) else { return Ok(None) };
        let right = "it is a number from 0";
        u32::try_from(number)
            .map(Some)
            .map_err(|_| self.invalid(variable, format!("{variable} cannot be negative!"), right.to_owned()))
    }

    /// A time in whole seconds of which there must be one at least.
    pub(super) fn seconds(&mut self, variable: &str, default: Duration) -> Duration {
        self.seconds_if_set(variable).unwrap_or(default)
    }

    /// The same; `None` if it is not set.
    pub(super) fn seconds_if_set(&mut self, variable: &str) -> Option<Duration> {
        let number = self.int(variable)?;
        let seconds = u64::try_from(number).unwrap_or(0);
        if seconds == 0 {
            self.warn(format!("{variable} must be at least 1 second; 1 is used"));
        }
        Some(Duration::from_secs(seconds.max(1)))
    }

    /// One of the words of the variable's table entry; another is an error with tinc's message.
    pub(super) fn word(&self, variable: &'static str, message: &str) -> Result<Option<&'static str>, ConfigError> {
        let Some(setting) = self.setting(variable) else { return Ok(None) };
        let Some(Kind::Word(words)) = Variable::find(variable).map(|known| known.kind) else { return Ok(None) };
        let found = kind::word(words, &setting.value);
        let right = || format!("it is one of: {}", words.join(", "));
        found.map(Some).ok_or_else(|| self.invalid(variable, message.to_owned(), right()))
    }

    /// The error for the value of a variable that counts.
    pub(super) fn invalid(&self, variable: &'static str, message: String, right: String) -> ConfigError {
        let setting = self.setting(variable);
        let value = setting.map(|setting| setting.value.clone()).unwrap_or_default();
        let place = setting.map_or(super::Place::Option(0), |setting| setting.place.clone());
        ConfigError::Invalid { message, variable, value, place, right }
    }
}

/// Reads a subnet, with tinc's words if it is none.
pub(super) fn subnet(variable: &'static str, setting: &Setting) -> Result<Subnet, ConfigError> {
    kind::subnet(&setting.value).map_err(|fault| ConfigError::Invalid {
        message: match fault {
            SubnetFault::Malformed => format!("Subnet expected for configuration variable {variable}!"),
            SubnetFault::HostBits => {
                format!("Network address and prefix length do not match for configuration variable {variable}!")
            }
        },
        variable,
        value: setting.value.clone(),
        place: setting.place.clone(),
        right: "it looks like 10.1.2.0/24, fd00:1::/64 or 10.1.2.3, with no address bits behind the prefix".to_owned(),
    })
}
