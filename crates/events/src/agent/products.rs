//! Products that programs of people on a desk write outside their comments.

use std::sync::LazyLock;

/// Browsers, their toolbars and distributions, programs built on a browser's engine.
const PRODUCTS: &str = "
    2345chrome 2345explorer 360ee 360se acheetahi acoo acooaole adblock adg adguard adobeair adok advisor
    airmail alexatoolbar alidingtalk alohabrowser alt altibrowser altlinux amaya amigo ant.com aol aolbuild
    apple applewebkit arc arch archlinux arora asana asplinux asso asw atlas atomicbrowser avant avast avg
    avgsecurebrowser aviator avira avirascout baiduboxapp baidubrowser baiduclient basecamp basilisk bdspark
    beamrise beonex beta betterbird bidubrowser bingsapphire blisk bluefox bmid bobrowser bolt bonecho brackets
    brave browser browsex build camino campaign ccleaner ccleanerbrowser centos channel chatgpt chedot cheshire
    chimera chrome chromeplus chromium chromiumedge chromodo citrio classilla claws cliqz clr coast
    coc_coc_browser code colibri comet cometbird community comodo comodo_dragon conkeror coolnovo core corom
    crazy_browser crios crkey crossbrowser crunchbang cursor cyberdog cyberfox cybersearch daumapps ddg debian
    deepin demeter deskbrowse devicetype dia digsby dingtalk discord dooble dragon drawio duckduckgo dwb earth
    ecosia edg edga edge edgios edgw edition ekiohflow electron element elementary elinks enterprise epiphany
    epiphany-webkit escape evernote evolution excel facebook falkon fbsmtwb fedora feishu fennec ferdi ferdium
    figma firebird firefox firephp fireweb flipboard flock floorp flow fluid focus foxmail franz freebsd freeu
    fxios galeon gameoverlay geary gecko generic gentoo ghostbrowser github gitkraken gmail gnu goanna google
    googletoolbar grammarly granparadiso greenbrowser gsa guix gw-device gx gzip hao123 hat hbbtv heytapbrowser
    hola honor honorlock hotjava hp huawei huaweibrowser hubspot hypercube iav ibisbrowser icab iceape icecat
    icedove icedragon iceowl iceweasel ie infopath.2 instagram internet iridium iron joli jolicloud joplin
    jumanji k-meleon k-ninja k9browser kagi kakao kakaotalk kapiko kazehakase kchrome khtml kinza kiosk kioskgb
    kiwi klar kmail kmlite knoppix konqueror kubuntu kylin kylo ladybird language lark lbbrowser librewolf
    liebao liebaofast lightning like linear linkedin linpus linspire linux lolifox lorentz luakit lunascape
    madfox maelstrom mageia mailbird mailspring mandriva manjaro maxthon mepis mercury metasr micromessenger
    midori minefield minimo mint miuibrowser mms mnenhy mobile mozdev mozilla mqqbrowser mr-device mra mrchrome
    msie mullvad multizilla mxbrowser mxnitro mybrowser mypal mzbrowser namoroka naversearch navigator neon net
    netbsd netfront netpositive netrunner netscape netscape6 nettype newmoon nfsbrowser nichrome ninesky ninja
    nintendobrowser nixos nordvpn norton notion nx nylas obsidian oculusbrowser office omi omniweb onenote
    openbsd opengx opensuse opera operagx opios oppo opr opswat opt opx oracle orca ordissimo orion otter
    outlook owa owasmime owb ozonebrowser pack palemoon pango-text pardus pclinuxos peppermint phoenix
    picobrowser pinterest pld pogo pogobrowser polarity postbox powerpoint presto prism privoxy pro proton
    protonmail puffin puppy qbcore qhbrowser qihu qq qqbrowser qqbrowserlite qqdownload qtcarbrowser qtweb
    qtwebengine quark quest quicklook qupzilla qutebrowser rambox rapid raspbian red redhat rekonq release
    retawq roccat rockmelt rosa sabayon safari safer samsung samsungbrowser sbr scientific se seamonkey seb
    secure securebrowser serpent service servo shiira shiretoko shredder sidekick signal signal-desktop silk
    skyfire skype slack slack_ssb slackware slbrowser sleipnir snapchat snowshoe soc sogou sogoumobilebrowser
    solus songbird songza sonic spark spicebird spotify sputnik srware stainless station steam steamdeck strata
    sundance sunrise sunrisebrowser superbird superhuman surf surfshark suse swiftfox swiftweasel swing
    sznprohlizec tablet teams tear telegram tencenttraveler tesla teslabrowser theworld theworld7 threema
    thunderbird tim to-browser tobrowser todoist tor torch treco trello trident trisquel trojita tulip tutanota
    typora u3 ubrowser ubuntu ucbrowser unico untrusted uos update uzard uzbl valve vast version viber vimb
    vimprobable virtualbrowser vivaldi vivobrowser void vonkeror voyager vr vscode waterfox wavebox webclip
    webex webianshell webissimo3 webkit webmoney webpositive webster webwasher wechat weltweitimnetz whale
    whatsapp whitehat wifi windows windowsstore windowswechat windsurf wire word worldwideweb wpdesktop wpe wps
    wpsoffice wxwork wyzo x-smiles xbrowser xfce xiaomi xombrero xubuntu yaapp yabrowser yahoo ymail yowser
    yrcwebdownload yyexplorer zac zen zenwalk zettlr zoom zorin
";

/// Toolbars that carry a version or a partner in their name.
const PREFIXES: &[&str] = &["gtb", "asktb", "btrs", "channel_", "campus-"];

static SORTED: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut names: Vec<&str> = PRODUCTS.split_ascii_whitespace().collect();
    names.sort_unstable();
    names
});

/// Whether a product's name, in any case, is one of a person's program.
pub(super) fn known(name: &[u8]) -> bool {
    let lower = || name.iter().map(u8::to_ascii_lowercase);
    SORTED.binary_search_by(|known| known.bytes().cmp(lower())).is_ok()
        || PREFIXES.iter().any(|prefix| prefix.bytes().eq(lower().take(prefix.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case() {
        for name in ["Mozilla", "SAFARI", "Vivaldi", "GTB7.1", "coc_coc_browser"] {
            assert!(known(name.as_bytes()), "{name}");
        }
        for name in ["", "Mozill", "Mozillas", "DareBoost"] {
            assert!(!known(name.as_bytes()), "{name}");
        }
    }
}
