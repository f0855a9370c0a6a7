//! The programs people read mail and the web with, and the devices they hold.

use super::shape;
use super::signals::Edge::{Any, Lead, Start, Word};
use super::signals::Mark::{Client, Named, Person, Trait};
use super::signals::{ANDROID, APPLIANCE, DESKTOP, ENGINE, Group, HANDHELD, PHONE, Sight, TABLET};

/// Client families from the most to the least specific, then programs known by name, then traits.
pub(super) const GROUPS: &[Group] = &[
    // programs with a person in front, recognised by name alone: mail clients
    Group {
        mark: Named("Outlook"),
        edge: Any,
        words: "microsoft outlook | macoutlook | outlook-ios | outlook-android | outlookmobile | outlook-express
            | office outlook | msoffice | ms-office | hxtsr | hxoutlook | mapi 1",
    },
    Group { mark: Named("Thunderbird"), edge: Any, words: "thunderbird/ | shredder/ | betterbird/" },
    Group {
        mark: Named("Windows Mail"),
        edge: Any,
        words: "microsoft windows mail | windows-mail | windows live mail | winphonemail | hxmail",
    },
    Group { mark: Named("Samsung Email"), edge: Any, words: "samsung email | samsungemail | samsung-android-eas" },
    Group { mark: Named("Lotus Notes"), edge: Any, words: "lotus-notes | lotus notes | hcl notes | hcl-notes" },
    Group { mark: Named("Yahoo Mail"), edge: Any, words: "yahoomobilemail | yahoo mail | yahoomail/" },
    Group { mark: Named("eM Client"), edge: Start, words: "em client/ | emclient/" },
    Group { mark: Named("Airmail"), edge: Start, words: "airmail" },
    Group { mark: Named("Spark"), edge: Start, words: "spark/ | spark desktop" },
    Group { mark: Named("Superhuman"), edge: Start, words: "superhuman" },
    Group { mark: Named("Mailspring"), edge: Start, words: "mailspring/" },
    Group { mark: Named("Mailbird"), edge: Start, words: "mailbird/" },
    Group { mark: Named("Postbox"), edge: Start, words: "postbox" },
    Group { mark: Named("Evolution"), edge: Start, words: "evolution/ | evolution 3" },
    Group { mark: Named("K-9 Mail"), edge: Start, words: "k-9 mail | k-9/ | k9mail" },
    Group { mark: Named("Proton Mail"), edge: Start, words: "protonmail | proton mail" },
    Group { mark: Named("Gmail"), edge: Lead, words: "gmail/ | com.google.gmail | com.google.android.gm/" },
    Group { mark: Named("Apple Mail"), edge: Lead, words: "mail/ | mobilemail/ | applemail | apple mail" },
    Group {
        mark: Named("Other"),
        edge: Start,
        words: "the bat! | kmail/ | kontact/ | claws mail | sylpheed/ | geary/ | trojita/ | mailmate/ | mailplane/
            | foxmail | canary mail | canary%20mail | polymail | bluemail | blue mail | aquamail | aqua mail
            | neomutt | tutanota | mailmaster/ | edison mail | typeapp | incredimail | seamonkey/",
    },
    Group {
        mark: Named("Other"),
        edge: Lead,
        words: "mutt/ | alpine/ | pine/ | eudora | zimbra | nine/ | email/ | mymail | ymail | newton/ | missive
            | spike/ | hey/ | balsa/ | mailapp",
    },
    // windows inside other programs
    Group { mark: Named("Facebook"), edge: Any, words: "fban/ | fbav/ | fb_iab | fbios | metaiab | orca-android" },
    Group { mark: Named("Instagram"), edge: Word, words: "instagram" },
    Group { mark: Named("LinkedIn"), edge: Any, words: "linkedinapp | [linkedin" },
    Group { mark: Named("WeChat"), edge: Any, words: "micromessenger" },
    Group { mark: Client("Google app"), edge: Word, words: "gsa/" },
    Group { mark: Client("Line"), edge: Word, words: "line/" },
    // browsers that also claim to be Chrome or Safari
    Group { mark: Client("Edge"), edge: Word, words: "edg/ | edge/ | edga/ | edgios/ | edgw/" },
    Group { mark: Client("Opera"), edge: Word, words: "opr/ | opera | opios/ | opt/ | opx/ | opera mini | opera mobi" },
    Group { mark: Client("Samsung Internet"), edge: Any, words: "samsungbrowser" },
    Group {
        mark: Client("Yandex Browser"),
        edge: Any,
        words: "yabrowser | yasearchbrowser | yandexsearch | yasearchapp",
    },
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
    Group { mark: Client("Firefox"), edge: Any, words: "firefox/ | fxios/ | focus/ | klar/ | iceweasel/" },
    Group { mark: Client("Internet Explorer"), edge: Any, words: "msie | trident/ | iemobile" },
    Group { mark: Client("Chrome"), edge: Any, words: "chrome/ | crios/ | chromium/ | crmo/" },
    Group { mark: Client("Safari"), edge: Any, words: "safari/ | mobilesafari" },
    Group { mark: Client("Konqueror"), edge: Any, words: "konqueror" },
    // programs with a person in front that need no family of their own
    Group {
        mark: Person,
        edge: Lead,
        words: "opera/ | lynx | w3m | links/ | links ( | elinks | dillo | netsurf | icab | amiga | ibrowse | ncsa
            | mosaic | cyberdog | hotjava | amaya | arachne | galeon | konqueror | emacs | voyager | omniweb | uzbl
            | midori | retawq | qutebrowser | k-meleon | doczilla | monazilla | itunes/ | nsplayer
            | windows-media-player | quicktime | kepler/ | microsoft office | sleipnir/ | flock/ | surf/ | xombrero
            | contiki/ | vms_mosaic | palmscape | xiino | seamonkey | mozacfetch",
    },
    Group {
        mark: Person,
        edge: Start,
        words: "word/ | excel/ | powerpoint/ | bsalsa.com | avantbrowser | avant browser | flashpeak.com",
    },
    // facts about the shape
    Group { mark: Trait(ENGINE), edge: Any, words: "applewebkit | gecko/ | presto/" },
    Group {
        mark: Trait(DESKTOP),
        edge: Any,
        words: "windows | win9 | win16 | win32 | winnt | win98 | macintosh | mac_p | x11 | linux | microsoft | haiku
            | konqueror | mac os | qnx | freebsd | openbsd | netbsd | sunos | beos | os/2 | amiga | morphos
            | risc os | irix | hp-ux",
    },
    Group { mark: Trait(DESKTOP), edge: Lead, words: "mail/" },
    Group { mark: Trait(DESKTOP), edge: Word, words: "cros | ms-office" },
    Group {
        mark: Trait(HANDHELD | ANDROID),
        edge: Any,
        words: "android | dalvik/ | andr0id | andorid | version/4.0 chrome",
    },
    Group {
        mark: Trait(HANDHELD | PHONE),
        edge: Any,
        words: "iphone | ipod | windows phone | windows ce | iemobile | symbian | series60 | series40 | series 60
            | s60 | blackberry | bb10 | webos | hpwos | bada | maemo | meego | sailfish | kaios | midp | cldc
            | up.browser | up.link | j2me | wap-browser | wap browser | obigo | nokia | sonyericsson | docomo/
            | kddi | softbank | vodafone/ | j-phone | palmos | palmsource | palm os | avantgo | dolfin | mre/ | maui
            | ucweb | ucbrowser | mqqbrowser | opera mini | opera mobi | teleca | polaris | netfront | brew
            | harmonyos | openharmony | ios/ | ; ios | (ios | like mac os x | wap2 | wap1 | mtk | foma | jig browser
            | ddipocket | willcom; | onebrowser | device model: | (lge | ; lge | smartphone | novarra | dorado wap
            | mobile safari | (mobile; | cloud phone",
    },
    Group {
        mark: Trait(HANDHELD | PHONE),
        edge: Lead,
        words: "samsung | lg- | lg/ | lge | (lge/ | (htc/ | (samsung/ | gt- | sgh- | pantech | bird | amoi | acer
            | kyocera | emobile/ | onebrowser | softbank | mot- | sie- | sec- | htc | huawei | zte | alcatel | sagem
            | sharp | panasonic | philips | sanyo | motorola | lenovo | coolpad | lava | micromax | karbonn | haier
            | tcl | mobile | apple-",
    },
    Group { mark: Trait(HANDHELD), edge: Any, words: "cfnetwork/ | darwin/ | cpu os | ipados" },
    Group { mark: Trait(PHONE), edge: Word, words: "mobile | phone" },
    Group {
        mark: Trait(HANDHELD | TABLET),
        edge: Any,
        words: "ipad | tablet; | tablet) | kindle | playbook | touchpad | galaxy tab | nexus 7 | nexus 9 | nexus 10
            | mediapad | silk/ | nook | xoom | rim tablet | (tablet; | pocketbook",
    },
    Group { mark: Trait(HANDHELD | TABLET), edge: Start, words: "sm-t | gt-p1 | gt-p3 | gt-p5 | gt-p6 | gt-p7" },
    Group {
        mark: Trait(HANDHELD | APPLIANCE),
        edge: Any,
        words: "smart-tv | smarttv | smart tv | hbbtv | appletv | apple tv | googletv | google tv | android tv
            | bravia | netcast | web0s | webos.tv | roku | crkey | playstation | nintendo | xbox | tesla/ | watchos
            | watch os | viera | netrange | ce-html | nettv | stbapp | vidaa | tivo | philipstv | aftb | aftm | afts
            | aftt | tizen | qtembedded | freebox | smarthub | espial | opentv | dlnadoc | omi/ | gw-device | webtv
            | brightsign | qtcarbrowser | _stb | olleh tv | navio | mr-device | (tv; | oculusbrowser | picobrowser
            | tv store | tvbrowser | wpe sky | (ps3 | (ps4",
    },
];

/// The family of a person's program.
pub(super) fn family(text: &str, sight: &Sight) -> &'static str {
    let unnamed = || if shape::bare_apple(text) { "Apple Mail" } else { "Other" };
    sight.client.unwrap_or_else(unnamed)
}

/// The kind of device, from the traits of a string that a person's program sent.
pub(super) fn device(sight: &Sight) -> &'static str {
    if sight.has(APPLIANCE) {
        "other"
    } else if sight.has(TABLET) || sight.has(ANDROID) && sight.has(ENGINE) && !sight.has(PHONE) {
        "tablet"
    } else if sight.has(PHONE | ANDROID) {
        "mobile"
    } else if sight.has(DESKTOP) {
        "desktop"
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AgentKind, read_agent};

    const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)";
    const IPHONE: &str =
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
    const ANDROID: &str = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)";
    const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)";

    fn check(system: &str, products: &str, client: &str, device: &str) {
        let text = format!("{system} {products}");
        let agent = read_agent(&text);
        assert_eq!((agent.kind, agent.client, agent.device), (AgentKind::Person, client, device), "{text}");
    }

    #[test]
    fn browsers() {
        check(WINDOWS, "Chrome/120.0.0.0 Safari/537.36", "Chrome", "desktop");
        check(WINDOWS, "Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0", "Edge", "desktop");
        check(WINDOWS, "Chrome/120.0.0.0 Safari/537.36 OPR/106.0.0.0", "Opera", "desktop");
        check(MAC, "Version/17.1 Safari/605.1.15", "Safari", "desktop");
        check(IPHONE, "Version/17.1 Mobile/15E148 Safari/604.1", "Safari", "mobile");
        check(IPHONE, "CriOS/120.0.6099.50 Mobile/15E148 Safari/604.1", "Chrome", "mobile");
        check(ANDROID, "SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36", "Samsung Internet", "mobile");
        check(ANDROID, "Chrome/120.0.0.0 Safari/537.36", "Chrome", "tablet");
        check("Mozilla/5.0 (X11; Linux x86_64; rv:120.0)", "Gecko/20100101 Firefox/120.0", "Firefox", "desktop");
        check(
            "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0)",
            "like Gecko",
            "Internet Explorer",
            "desktop",
        );
        check(
            "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0)",
            "AppleWebKit/538.1 SamsungBrowser/3.0",
            "Samsung Internet",
            "other",
        );
        check("Opera/9.80 (J2ME/MIDP; Opera Mini/7.1; U; en)", "Presto/2.8.119", "Opera", "mobile");
        check("Lynx/2.8.9rel.1", "libwww-FM/2.14 SSL-MM/1.4.1", "Other", "other");
    }

    #[test]
    fn mail_clients() {
        check("Microsoft Office/16.0", "(Windows NT 10.0; Microsoft Outlook 16.0.12026; Pro)", "Outlook", "desktop");
        check("Mozilla/4.0", "(compatible; ms-office; MSOffice 16)", "Outlook", "desktop");
        check("Outlook-iOS/724.47.prod.iphone", "(4.11.0)", "Outlook", "mobile");
        check(
            "Mozilla/5.0 (X11; Linux x86_64; rv:115.0)",
            "Gecko/20100101 Thunderbird/115.5",
            "Thunderbird",
            "desktop",
        );
        check(MAC, "", "Apple Mail", "desktop");
        check(IPHONE, "Mobile/15E148", "Apple Mail", "mobile");
        check("Mail/3654.120.0.1.15", "CFNetwork/1240.0.4 Darwin/20.6.0", "Apple Mail", "desktop");
        check("The Bat! 9.1", "(http://www.ritlabs.com/)", "Other", "other");
        check(WINDOWS, "Chrome/109.0.0.0 Safari/537.36 eM Client/9.2.1735", "eM Client", "desktop");
        check("Dalvik/2.1.0", "(Linux; U; Android 13; Pixel 6 Build/TQ3A.230805.001)", "Other", "mobile");
    }

    #[test]
    fn windows_inside_other_programs() {
        check(IPHONE, "Mobile/15E148 [FBAN/FBIOS;FBAV/417.0.0.21.67;FBDV/iPhone12,1]", "Facebook", "mobile");
        check(IPHONE, "GSA/284.0.563320190 Mobile/15E148 Safari/604.1", "Google app", "mobile");
        check(ANDROID, "Version/4.0 Chrome/86.0 Mobile Safari/537.36 MicroMessenger/8.0.28", "WeChat", "mobile");
    }
}
