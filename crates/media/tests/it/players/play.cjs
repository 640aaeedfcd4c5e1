// Serves a folder of outputs and plays them in a browser: node play.cjs MODULES FOLDER BROWSER.
// Each line of the input is JSON and says what to play; a line of JSON comes out for each, and before
// them one with the browser's version.
const fs = require("fs");
const http = require("http");
const path = require("path");
const readline = require("readline");

const [modules, folder, browser] = process.argv.slice(2);
const puppeteer = require(path.join(modules, "puppeteer-core"));

/** Players beside each other. */
const SEATS = 4;

const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".mp4": "video/mp4", ".m4s": "video/iso.segment",
  ".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml", ".ts": "video/mp2t",
  ".aac": "audio/aac", ".flv": "video/x-flv",
};

const PROGRAMS = {
  chromium: {
    browser: "chrome", executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
  },
  firefox: {
    browser: "firefox", executablePath: "/usr/bin/firefox-esr",
    extraPrefsFirefox: { "media.autoplay.default": 0, "media.autoplay.blocking_policy": 0 },
  },
};

/** Files below three places; ranges, which the plain element seeks by. */
function serve(request, response) {
  const url = decodeURIComponent(new URL(request.url, "http://x").pathname);
  const [, place, ...rest] = url.split("/");
  const roots = { page: __dirname, lib: modules, out: folder };
  const file = roots[place] && path.join(roots[place], ...rest);
  if (!file || !fs.existsSync(file) || !fs.statSync(file).isFile()) {
    response.writeHead(404).end();
    return;
  }
  const bytes = fs.readFileSync(file);
  const headers = { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream", "accept-ranges": "bytes" };
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  if (!range) {
    response.writeHead(200, { ...headers, "content-length": bytes.length }).end(bytes);
    return;
  }
  const from = Number(range[1]);
  const to = Math.min(range[2] === "" ? Infinity : Number(range[2]), bytes.length - 1);
  headers["content-range"] = `bytes ${from}-${to}/${bytes.length}`;
  response.writeHead(206, headers).end(bytes.subarray(from, to + 1));
}

/** Takes requests as they come in, each as soon as a page is free. */
async function play(base, page) {
  const requests = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const seat = async () => {
    for (let next = await requests.next(); !next.done; next = await requests.next()) {
      const request = JSON.parse(next.value);
      const result = await page.evaluate((request) => perform(request), { ...request, src: `${base}/out/${request.main}` });
      console.log(JSON.stringify({ id: request.id, ...result }));
    }
  };
  await Promise.all(Array.from({ length: SEATS }, seat));
}

async function main() {
  const server = http.createServer(serve).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const base = `http://127.0.0.1:${server.address().port}`;
  const shell = await puppeteer.launch({ headless: true, timeout: 120000, protocolTimeout: 600000, ...PROGRAMS[browser] });
  try {
    console.log(JSON.stringify({ version: await shell.version() }));
    const page = await shell.newPage();
    await page.goto(`${base}/page/stage.html`);
    await play(base, page);
  } finally {
    await shell.close();
    server.close();
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
