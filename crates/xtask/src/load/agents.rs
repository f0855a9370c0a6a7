//! User agents of the programs that open mails: browsers, mail clients, proxies, scanners.

/// More than 200 different ones, in a fixed order.
pub(crate) fn agents() -> Vec<String> {
    let mut agents = Vec::new();
    let windows = "Windows NT 10.0; Win64; x64";
    let desktops = [windows, "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64", "X11; CrOS x86_64 14541.0.0"];
    for system in desktops {
        for version in 118..140 {
            agents.push(chromium(system, version, ""));
        }
    }
    for version in 120..136 {
        agents.push(chromium(windows, version, &format!(" Edg/{version}.0.0.0")));
    }
    for device in ["Android 10; K", "Android 13; SM-S911B", "Android 14; Pixel 8", "Android 12; moto g(60)"] {
        for version in 124..132 {
            agents.push(chromium(&format!("Linux; {device}"), version, "").replace(" Safari", " Mobile Safari"));
        }
    }
    for system in ["Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10.15", "X11; Linux x86_64"] {
        for version in 115..135 {
            agents.push(format!("Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"));
        }
    }
    for (system, version) in
        [("16_7", "16.6"), ("17_4", "17.4"), ("17_6_1", "17.6"), ("18_1", "18.1"), ("18_3", "18.3")]
    {
        let kit = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let phone = format!("Mozilla/5.0 (iPhone; CPU iPhone OS {system} like Mac OS X) {kit}");
        agents.push(format!("{phone} Version/{version} Mobile/15E148 Safari/604.1"));
        agents.push(format!("{phone} Mobile/15E148"));
        agents.push(format!("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {kit} Version/{version} Safari/605.1.15"));
    }
    agents.extend(FIXED.map(String::from));
    agents
}

fn chromium(system: &str, version: u32, more: &str) -> String {
    let kit = "AppleWebKit/537.36 (KHTML, like Gecko)";
    format!("Mozilla/5.0 ({system}) {kit} Chrome/{version}.0.0.0 Safari/537.36{more}")
}

const FIXED: [&str; 12] = [
    "Mozilla/5.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.9.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.3.1",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; Trident/7.0; Microsoft Outlook 16.0.17126)",
    "Outlook-iOS/723.4027091.prod.iphone (4.2417.0)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "python-requests/2.31.0",
    "curl/8.5.0",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn there_are_at_least_200_different_ones() {
        let agents = super::agents();
        let different: HashSet<_> = agents.iter().collect();
        assert!(different.len() >= 200, "{}", different.len());
        assert_eq!(different.len(), agents.len());
        assert!(agents.iter().all(|agent| agent.bytes().all(|byte| (b' '..=b'~').contains(&byte))));
    }
}
