// driver.py for Node: node benchmarks/driver.cjs TASK HANDLER EVENT CALLS

const { readFileSync } = require("node:fs");

const [task, handler, event, calls] = process.argv.slice(2);
const seconds = () => (({ user, system }) => (user + system) / 1e6)(process.cpuUsage());

const main = async () => {
  let first;
  let answer = "";
  if (handler !== "-") {
    const [module, name] = handler.split(".");
    const run = require(`${task}/${module}.js`)[name];
    const text = calls === "0" ? "" : readFileSync(event, "utf8");
    for (let call = 0; call < Number(calls); call++) {
      answer = JSON.stringify(await run(JSON.parse(text), {}));
      first ??= seconds();
    }
  }
  const last = seconds();
  const [, kilobytes] = readFileSync("/proc/self/status", "utf8").match(/VmHWM:\s+(\d+)/);
  const megabytes = Math.floor(kilobytes / 1024);
  process.stderr.write(`${JSON.stringify({ first: first ?? last, last, megabytes, answer })}\n`);
  process.exit();
};

main();
