// Serves a folder of outputs and plays each of them in a browser: node play.cjs MODULES FOLDER BROWSER.
// FOLDER/outputs.json lists what to play; a line of JSON comes out for each.
const fs = require("fs");
const http = require("http");
const path = require("path");

const [modules, folder, browser] = process.argv.slice(2);
const puppeteer = require(path.join(modules, "puppeteer-core"));

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

async function main() {
  const server = http.createServer(serve).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const base = `http://127.0.0.1:${server.address().port}`;
  const shell = await puppeteer.launch({ headless: true, timeout: 120000, protocolTimeout: 300000, ...PROGRAMS[browser] });
  try {
    for (const output of JSON.parse(fs.readFileSync(path.join(folder, "outputs.json")))) {
      const page = await shell.newPage();
      await page.goto(`${base}/page/page.html`);
      const wish = { ...output, src: `${base}/out/${output.main}` };
      const result = await page.evaluate((wish) => run(wish).catch((error) => ({ failed: String(error.message ?? error) })), wish);
      console.log(JSON.stringify({ name: output.name, player: output.player, ...result }));
      await page.close();
    }
  } finally {
    await shell.close();
    server.close();
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
