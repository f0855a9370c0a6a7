//! Numbers at the head of a text, and settings that are a text in a file.

/// The number that a text begins with, and the rest without spaces around it. Signs are not part of it.
pub(crate) fn number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    // Longer ones are not a limit that somebody means.
    let number = text.get(..end).filter(|digits| digits.len() <= 12)?.parse::<f64>().ok()?;
    Some((number, text[end..].trim()))
}

/// Reads a type from text by its `parse`.
macro_rules! text_setting {
    ($type:ty, $expected:literal) => {
        impl std::str::FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        out.write_str($expected)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        <$type>::parse(text).map_err(E::custom)
                    }
                }
                input.deserialize_str(Text)
            }
        }
    };
}
pub(crate) use text_setting;
