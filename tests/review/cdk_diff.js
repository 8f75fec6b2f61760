// What `cdk diff --method=template --template OLD` prints, for many pairs of templates in one process.
//
// Argument: lib/index.js of the CDK CLI. Reads lines of JSON, {"old": TEMPLATE, "assembly": FOLDER, "stack": NAME}, and
// answers each with one: the text of the difference as JSON.
"use strict";
const fs = require("node:fs");
const Module = require("node:module");
const readline = require("node:readline");

// The CLI is one file that exports its entry point alone: the function that `cdk diff` calls is taken from inside.
const file = process.argv[2];
const cli = new Module(file);
cli.filename = file;
cli.paths = Module._nodeModulePaths(file);
const inside = "\nmodule.exports = { DiffFormatter: (init_diff3(), DiffFormatter), assemblies: require_lib3() };\n";
cli._compile(fs.readFileSync(file, "utf-8") + inside, file);
const { DiffFormatter, assemblies } = cli.exports;

function difference({ old, assembly, stack }) {
  const newTemplate = new assemblies.CloudAssembly(assembly, { skipVersionCheck: true }).getStackByName(stack);
  const formatter = new DiffFormatter({ templateInfo: { oldTemplate: old, newTemplate } });
  return formatter.formatStackDiff({ strict: false, contextLines: 3, quiet: false }).formattedDiff;
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(`${JSON.stringify(difference(JSON.parse(line)))}\n`);
});
