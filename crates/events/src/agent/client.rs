//! The programs people read mail and the web with, and the devices they hold.

use super::signals::Edge::{Any, End, Lead, Start, Word};
use super::signals::Mark::{Client, Person, Trait};
use super::signals::{ANDROID, APPLIANCE, DESKTOP, ENGINE, Group, HANDHELD, PHONE, Sight, TABLET};

/// Client families from the most to the least specific, then programs known by name, then traits.
pub(super) const GROUPS: &[Group] = &[
    // mail clients
    Group { mark: Client("Outlook"), edge: Any, words: "outlook | msoffice | ms-office | hxtsr | mapi 1" },
    Group { mark: Client("Thunderbird"), edge: Any, words: "thunderbird | shredder/ | betterbird" },
    Group { mark: Client("Windows Mail"), edge: Any, words: "windows-mail | windows live mail | winphonemail" },
    Group { mark: Client("Samsung Email"), edge: Any, words: "samsung email | samsungemail | samsung-android-eas" },
    Group { mark: Client("eM Client"), edge: Any, words: "em client/ | emclient/" },
    Group { mark: Client("Lotus Notes"), edge: Any, words: "lotus-notes | lotus notes | hcl notes | hcl-notes" },
    Group { mark: Client("Airmail"), edge: Start, words: "airmail" },
    Group { mark: Client("Postbox"), edge: Start, words: "postbox" },
    Group { mark: Client("Yahoo Mail"), edge: Any, words: "yahoomobilemail | yahoo mail | yahoomail/ | ymail/" },
    Group { mark: Client("Apple Mail"), edge: Lead, words: "mail/ | mobilemail/ | applemail | apple mail" },
    // windows inside other programs
    Group { mark: Client("Facebook"), edge: Any, words: "fban/ | fbav/ | fb_iab | fbios | metaiab | orca-android" },
    Group { mark: Client("Instagram"), edge: Any, words: "instagram" },
    Group { mark: Client("LinkedIn"), edge: Any, words: "linkedinapp | linkedin/ | [linkedin" },
    Group { mark: Client("WeChat"), edge: Any, words: "micromessenger" },
    Group { mark: Client("Google app"), edge: Word, words: "gsa/" },
    Group { mark: Client("Line"), edge: Word, words: "line/" },
    // browsers that also claim to be Chrome or Safari
    Group { mark: Client("Edge"), edge: Word, words: "edg/ | edge/ | edga/ | edgios/ | edgw/" },
    Group { mark: Client("Opera"), edge: Word, words: "opr/ | opera | opios/ | opt/ | opx/ | opera mini | opera mobi" },
    Group { mark: Client("Samsung Internet"), edge: Any, words: "samsungbrowser" },
    Group { mark: Client("Yandex Browser"), edge: Any, words: "yabrowser | yasearchbrowser | yandexsearch | yasearchapp" },
    Group { mark: Client("Vivaldi"), edge: Any, words: "vivaldi" },
    Group { mark: Client("Brave"), edge: Word, words: "brave" },
    Group { mark: Client("DuckDuckGo"), edge: Word, words: "duckduckgo/ | ddg/" },
    Group { mark: Client("UC Browser"), edge: Any, words: "ucbrowser | ucweb | uc browser | ubrowser/" },
    Group { mark: Client("QQ Browser"), edge: Any, words: "qqbrowser" },
    Group { mark: Client("MIUI Browser"), edge: Any, words: "miuibrowser" },
    Group { mark: Client("Huawei Browser"), edge: Any, words: "huaweibrowser" },
    Group { mark: Client("Coc Coc"), edge: Any, words: "coc_coc_browser" },
    Group { mark: Client("Whale"), edge: Word, words: "whale/" },
    Group { mark: Client("Silk"), edge: Word, words: "silk/" },
    Group { mark: Client("Firefox"), edge: Any, words: "firefox/ | fxios/ | focus/ | klar/ | seamonkey/ | iceweasel/" },
    Group { mark: Client("Internet Explorer"), edge: Any, words: "msie | trident/ | iemobile" },
    Group { mark: Client("Chrome"), edge: Any, words: "chrome/ | crios/ | chromium/ | crmo/" },
    Group { mark: Client("Safari"), edge: Any, words: "safari/ | mobilesafari" },
    Group { mark: Client("Konqueror"), edge: Any, words: "konqueror" },
];
