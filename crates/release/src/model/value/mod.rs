//! Small values that cannot be wrong: digests, versions, names, percentages, counts, templates, JSON paths.

mod count;
mod digest;
mod json_path;
mod name;
mod percent;
mod template;
mod url;

pub use count::Count;
pub use digest::{Digest, digest_of};
pub use json_path::JsonPath;
pub use name::{Name, Version};
pub use percent::Percent;
pub use template::{Command, Placeholders, Template};
pub use url::HttpUrl;
