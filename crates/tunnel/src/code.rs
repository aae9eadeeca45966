//! Why something was refused or broken off, as both sides of a line say it.

/// Why a service was refused, or a stream was refused or broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[repr(u16)]
pub enum Code {
    /// Whoever used the stream let go of it.
    #[error("broken off")]
    BrokenOff = 1,
    /// No such service.
    #[error("no such service")]
    NoSuchService = 2,
    /// It may not.
    #[error("not permitted")]
    NotPermitted = 3,
    /// A limit is reached.
    #[error("too much is open")]
    Limit = 4,
    /// The program behind the service did not take the connection.
    #[error("nothing answers there")]
    NotListening = 5,
    /// The side is about to go.
    #[error("going away")]
    Draining = 6,
    /// The name is another node's.
    #[error("the name is taken")]
    NameTaken = 7,
    /// Something that the other side's rules do not know.
    #[error("refused")]
    Other = 8,
}

impl Code {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::BrokenOff,
        Self::NoSuchService,
        Self::NotPermitted,
        Self::Limit,
        Self::NotListening,
        Self::Draining,
        Self::NameTaken,
        Self::Other,
    ];

    /// Its number on the line.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The code of this number; one that is not known is [`Code::Other`], so that new ones may come.
    pub fn of(number: u16) -> Self {
        Self::ALL.into_iter().find(|code| code.number() == number).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_its_number_and_a_strange_number_is_some_refusal() {
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(code.number()), at + 1);
            assert_eq!(Code::of(code.number()), code);
        }
        assert_eq!(Code::of(0), Code::Other);
        assert_eq!(Code::of(65_535), Code::Other);
    }
}
