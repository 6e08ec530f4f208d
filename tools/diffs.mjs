// Run `redocly diff` on several pairs of documents in one process, because its start takes longest.
//
//     node diffs.mjs INDEX.JS OLD NEW REPORT [OLD NEW REPORT …]
//
// INDEX.JS is the module that the command line of redocly runs. It runs once for each name that it is imported by.

const [index, ...files] = process.argv.slice(2);
let number = 0;

function next() {
  const [old, revision, report] = files.splice(0, 3);
  if (report) {
    process.argv = [process.argv[0], index, "diff", old, revision, "--format=json", "--fail-on=none", `--output=${report}`];
    number += 1;
    return import(`${index}?${number}`);
  }
}

// The command line may call this when it is done, and there may be more to do.
process.exit = () => {};
process.on("beforeExit", next);
next();
