// Checks queries with Microsoft's Kusto language service. Reads {name: query} as JSON from standard input and prints
// {name: [message, ...]}. Tables: those of Application Insights in a Log Analytics workspace that the queries use.
// Source: https://www.npmjs.com/package/@kusto/language-service-next
const path = require("path");
const folder = process.argv[2];
require(path.join(folder, "bridge.js"));
require(path.join(folder, "Kusto.Language.Bridge.js"));
const { GlobalState, KustoCode } = Kusto.Language;
const { DatabaseSymbol, TableSymbol, ScalarTypes } = Kusto.Language.Symbols;
const shared = "TimeGenerated: datetime, Properties: dynamic, OperationId: string, AppRoleName: string";
const tables = [
  `(${shared}, Message: string, SeverityLevel: int, ItemCount: int)|AppTraces`,
  `(${shared}, Name: string, Success: bool, DurationMs: real, ItemCount: int)|AppRequests`,
  `(${shared}, Name: string, Sum: real, Min: real, Max: real, ItemCount: int)|AppMetrics`,
  `(${shared}, Name: string, Target: string, Success: bool, DurationMs: real)|AppDependencies`,
  "(timestamp: datetime, message: string, customDimensions: dynamic, operation_Id: string)|traces",
  "(timestamp: datetime, outerMessage: string, customDimensions: dynamic, operation_Id: string)|exceptions",
].map((text) => {
  const [columns, name] = text.split("|");
  return TableSymbol.From(columns).WithName(name);
});
const database = new DatabaseSymbol.$ctor1("workspace", tables);
const globals = GlobalState.Default.WithDatabase(database);
let text = "";
process.stdin.on("data", (piece) => (text += piece));
process.stdin.on("end", () => {
  const found = {};
  for (const [name, query] of Object.entries(JSON.parse(text))) {
    const code = KustoCode.ParseAndAnalyze(query, globals);
    const diagnostics = code.GetDiagnostics();
    found[name] = [];
    for (let n = 0; n < diagnostics.Count; n++) {
      const diagnostic = diagnostics.getItem(n);
      if (diagnostic.Severity === "Error") found[name].push(diagnostic.Message);
    }
  }
  process.stdout.write(JSON.stringify(found));
});
