// A browser that does what lines of JSON on standard input say, each answered by one: node browser.mjs CHROMIUM HOST…
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const hosts = ["localhost", "127.0.0.1", ...process.argv.slice(3)].map((host) => `EXCLUDE ${host}`).join(", ");
const browser = await chromium.launch({
  executablePath: process.argv[2],
  headless: true,
  // Nothing beyond this machine is asked, whatever a page would like.
  args: ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP * ~NOTFOUND, ${hosts}`],
});
let context, page;
const seen = [];

const actions = {
  async fresh() {
    if (context) await context.close();
    context = await browser.newContext({ ignoreHTTPSErrors: true });
    context.setDefaultTimeout(20000);
    page = await context.newPage();
    seen.length = 0;
    page.on("console", (message) => { if (message.text().includes("Security Policy")) seen.push(message.text()); });
    page.on("pageerror", (error) => seen.push(String(error)));
  },
  async go({ url }) {
    const answer = await page.goto(url);
    return { status: answer && answer.status(), url: page.url() };
  },
  fill: ({ at, text }) => page.fill(at, text),
  click: ({ at }) => page.click(at),
  wait: ({ at, state }) => page.waitForSelector(at, { state: state || "attached" }).then(() => null),
  arrive: ({ url }) => page.waitForURL(url).then(() => page.url()),
  text: ({ at }) => page.innerText(at),
  texts: ({ at }) => page.locator(at).allInnerTexts(),
  url: async () => page.url(),
  content: () => page.content(),
  cookies: () => context.cookies(),
  evaluate: ({ script }) => page.evaluate(script),
  console: async () => seen,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...more } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await actions[action](more)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
