// Says where the PowerShell in the files is none; run by windows_test.go, in a folder
// that has the packages.
const fs = require('fs');
const { createRequire } = require('module');
const there = createRequire(process.cwd() + '/');
const { Parser, Language } = there('web-tree-sitter');

(async () => {
  await Parser.init();
  const parser = new Parser();
  parser.setLanguage(await Language.load('node_modules/tree-sitter-powershell/tree-sitter-powershell.wasm'));
  for (const file of process.argv.slice(2)) {
    const tree = parser.parse(fs.readFileSync(file, 'utf8'));
    const walk = (node) => {
      if (node.isError || node.isMissing) {
        console.log(`${file}:${node.startPosition.row + 1}:${node.startPosition.column + 1}: ${JSON.stringify(node.text.slice(0, 60))}`);
      } else if (node.hasError) {
        node.children.forEach(walk);
      }
    };
    walk(tree.rootNode);
  }
})();
