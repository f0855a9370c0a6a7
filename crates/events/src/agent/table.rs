//! The words of programs: image proxies, tools, crawlers, previews, scanners, headless browsers.

use super::signals::Edge::{Any, End, Host, Lead, Start, Word};
use super::signals::Mark::{Compatible, Hint, LikeGecko, Machine, Pardon, Proxy, Trait, Vague};
use super::signals::{FOREIGN, Group};

/// Rows above weigh more than rows below when a string matches several.
pub(super) const GROUPS: &[Group] = &[
    Group {
        mark: Proxy { reason: "agent.proxy.gmail", client: "Gmail proxy" },
        edge: Any,
        words: "GoogleImageProxy | via ggpht.com",
    },
    Group { mark: Proxy { reason: "agent.proxy.yahoo", client: "Yahoo proxy" }, edge: Any, words: "YahooMailProxy" },
    Group {
        mark: Machine("agent.headless"),
        edge: Any,
        words: "headless | phantomjs | slimerjs | casperjs | puppeteer | playwright | selenium | webdriver
            | htmlunit | httpunit | zombie.js | nightmarejs | testcafe | cypress/ | wkhtmlto | weasyprint
            | chrome-lighthouse | webpagetest | speedcurve | browserless | browserbase | crawl4ai | prerender
            | rendertron | wpt-agent | phantom.js | web snapshot | webrender | pagerenderer",
    },
    Group { mark: Machine("agent.headless"), edge: Word, words: "ptst | splash version | lighthouse" },
    Group {
        mark: Machine("agent.scanner"),
        edge: Any,
        words: "barracuda | proofpoint | mimecast | messagelabs | fireeye | forcepoint | websense | ironport
            | zscaler | fortiguard | safelinks | urldefense | virustotal | urlscan | phishtank | openphish
            | phishing | netcraft | spamexperts | spamhaus | antispam | avanan | greathorn | perception-point
            | safebrowsing | safe browsing | safeweb | siteadvisor | cerberian | bluecoat | blue coat | brightcloud
            | talosintel | cyberpatrol | nikto | nessus | openvas | qualys | acunetix | netsparker | invicti
            | wpscan | sqlmap | nuclei - | masscan | zgrab | censys | shodan | leakix | l9explore | l9tcpid | l9scan
            | zmeu | dirbuster | gobuster | feroxbuster | w3af | arachni | whatweb | fuzz faster | hardenize
            | securityheaders | ssl labs | ssllabs | ssldetector | vulnerab | pentest | penetration test
            | security scan | sucuri | foregenix | watchtowr | netsystemsresearch | internet-measurement
            | internetmeasurement | intruder.io | detectify | project sonar | shadowserver | riskiq
            | recorded future | recordedfuture | bitsight | securityscorecard | cyberscan | cyber risk | cyberrisk
            | securitytrails | binaryedge | onyphe | zoomeye | fofa | alphastrike | palo alto networks | paloalto
            | cortex-xpanse | domaintools | threatview | immuniweb | probely | skipfish | jorgee | morfeus
            | muieblack | alibaba.security | ddosdiag | sitelock",
    },
    Group { mark: Machine("agent.scanner"), edge: Word, words: "dcv | nmap | ips-agent | abuse. | ivre | rapid7" },
    Group {
        mark: Machine("agent.preview"),
        edge: Any,
        words: "bingpreview | skypeuripreview | uripreview | urlpreview | linkpreview | link preview | link-preview
            | web preview | pagepreview | page-preview | sitepreview | slackbot | slack-imgproxy | slack-imgs
            | facebookexternalhit | facebookexternalua | facebookplatform | facebookcatalog | facebot
            | meta-external | telegrambot | discordbot | twitterbot | linkedinbot | pinterestbot | redditbot
            | embedly | iframely | onebox | unfurl | link_thumbnailer | vkshare | nuzzel | tweetmeme | outbrain
            | flipboardproxy | google favicon | favicon | urlresolver | url resolver | urlexpand | unshorten
            | longurl | untiny | metadataretriever | metadataparser | metauri | webthumb | websnapr | screenshot
            | screen shot | screenie | site-shot | shotter | mshots | thumbnail | googlemessages | snap url preview
            | imgproxy | imageproxy | image proxy | imagecache | github-camo",
    },
    Group { mark: Machine("agent.preview"), edge: Lead, words: "whatsapp" },
    Group {
        mark: Machine("agent.crawler"),
        edge: Any,
        words: "crawl | slurp | archiver | archive.org | archive-it | web archiv | scrape | scraping | harvester
            | harvesting | heritrix | nutch | googlebot | bingbot | msnbot | yandexbot | baiduspider | bytespider
            | google-ads | google-adwords | google-inspection | google-site | google-read | google-apps
            | google-extended | google-safety | google-structured | google-youtube | google-publisher
            | google-searchbyimage | google-hoteladsverifier | google-http | google-cloud | google-xrawler
            | google-physicalweb | google-agent | googleagent | google-calendar | google-certificates
            | google-producer | google-shopping | google-notebooklm | google-test | google-speakr | google_analytics
            | google_partner | google web light | google-amphtml | googleother | googleproducer | google page speed
            | google pagespeed | google search console | google keyword | google docs | google trust
            | google wireless transcoder | appengine-google | apis-google | mediapartners | feedfetcher | adsbot
            | storebot | playstore-google | bingsiteauth | yandex.translate | yandexmobilebot | yandeximage
            | yandexmetrika | yandexfavicon | yandexturbo | duckassist | ia_archiver | screaming frog | sitebulb
            | deepcrawl | lumar | ahrefs | semrush | majestic12 | siteimprove | silktide | siteanaly | site analy
            | content analy | link analy | linkanaly | linkcheck | link check | link-check | linkchk | linksleuth
            | link sleuth | linkvalidator | linktiger | brokenlink | deadlink | htmlanaly | plagiari | plagiaat
            | gptbot | chatgpt-user | oai-search | anthropic | claudebot | claude-web | claude-user
            | claude-searchbot | perplexity-user | cohere-ai | cohere-training | mistralai | deepseek | diffbot
            | firecrawl | manus-user | novaact | googlespider | daumoa | daum/ | daum 4 | binglocal | duplexweb
            | mutant | sogou web | sogou pic | yisou | teoma | gigablast | exabot | exalead | mnogosearch
            | udmsearch | search engine | searchengine | semantic-vis | wesee | linkdex | panscient | httrack
            | webcopier | webcopy | sitesucker | offline explorer | teleport pro | webcapture | webzip | webreaper
            | websucker | webstripper | webcollage | extractor | sitemap | dataprovider | datafeedwatch | datanyze
            | builtwith | wappalyzer | similartech | brandverity | brandwatch | seositecheckup | marketinggrader
            | marketing grader | tweetminster | collapsify | adbeat | cloudflareobservatory | hotjar | rigor)
            | tsm-turingos | iplabel | transcoder | validator | w3c_ | w3c- | mobileok | accessibility test
            | webserver survey | web server survey | criticalcss | contentking | blekko",
    },
    Group {
        mark: Machine("agent.tool"),
        edge: Any,
        words: "pingdom | statuscake | uptime | site24x7 | sitemonitor | site monitor | websitepulse | monitis
            | monitorus | monitoring | host-tracker | hosttracker | hetrix | freshping | nodeping | dotcom-monitor
            | gtmetrix | dareboost | debugbear | newrelic | new relic | datadog | dynatrace | ruxitsynthetic
            | catchpoint | thousandeyes | neustar wpm | appinsights | gomezagent | ghost inspector | synthetic
            | nagios | check_http | zabbix | kube-probe | healthcheck | health check | health-check | elb-health
            | blackbox exporter | panopta | monastic | alertsite | applitools | wget/ | libcurl | curl/ | python
            | libwww-perl | lwp:: | lwp- | mechanize | scrapy | aiohttp | httpx | urllib | apache-httpclient
            | httpcomponents | jakarta | asynchttp | go-http | http client | httprequest | http_request
            | http-request | java http | winhttp | powershell | guzzle | faraday | typhoeus | httparty | rest-client
            | restsharp | node-fetch | axios | undici | superagent | postman | insomnia/ | httpie | webhook
            | feedparser | simplepie | magpierss | rss-parser | feedburner | prometheus | existence discovery
            | protocol discovery | webdav | davclnt | networkingextension | swcd | indy library | mozilla compatible
            | user-agent: | printfriendly | pdf24 | web services client protocol",
    },
    Group {
        mark: Machine("agent.tool"),
        edge: Lead,
        words: "curl | wget | java/ | php/ | okhttp | ahc/ | deno/ | bun/ | dart/ | libcurl",
    },
    Group { mark: Machine("agent.tool"), edge: End, words: "httpclient | http-client" },
    Group {
        mark: Pardon,
        edge: End,
        words: "cubot | qqdownload | androiddownloadmanager | technology preview | technology%20preview
            | adobe reader | foxit reader | mozacfetch",
    },
    Group {
        mark: Hint("agent.crawler"),
        edge: End,
        words: "bot | bots | b0t | robot | robots | spider | spiders | spyder | scan | scanner | scans | indexer
            | fetch | fetcher | getter | grabber | checker | check | checkup | tester | survey | audit | auditor
            | analyzer | analyser | analytics | analysis | inspector | verify | verifier | verification | resolver
            | searchbot | reader | finder | hunter | watcher | tracker | collector | aggregator | discovery
            | research | optimizer | optimiser | classifier | enricher | parser | render | renderer | scraper
            | loader | sniffer | copier | ripper | downloader | capture | snapshot | preview | previewer",
    },
    Group {
        mark: Hint("agent.crawler"),
        edge: Start,
        words: "bot/ | bot- | bot_ | botify | spider | scanner | scanning | fetch | seo | searchengine | rss | feed
            | research | backlink | sitecheck | site-check | urlcheck | url check | url verif | web search
            | websearch | website",
    },
    // words too common on phones: they count on a desk only
    Group {
        mark: Vague("agent.tool"),
        edge: Word,
        words: "monitor | agent | client | daemon | proxy | probe | okhttp | test | testing | benchmark | automation
            | automated | script | api | sdk | tool | tools | bench | server | cloud | worker | job | integration
            | request | requests",
    },
    Group { mark: Compatible, edge: Start, words: "compatible" },
    Group { mark: LikeGecko, edge: Any, words: "khtml, like gecko | khtml like gecko" },
    Group {
        mark: Trait(FOREIGN),
        edge: Any,
        words: "http:// | https:// | http:\\\\ | www. | mailto: | (at) | [at] | .html | .php | bit.ly | .github.io
            | dot com",
    },
    Group {
        mark: Vague("agent.crawler"),
        edge: Host,
        words: ".com | .net | .org | .io | .info | .de | .ru | .fr | .co.uk | .eu | .ai | .dev | .app | .cz | .nl
            | .pl | .it | .es | .jp | .cn | .biz | .ch | .at | .se | .us | .br | .xyz | .cloud | .tech",
    },
];
