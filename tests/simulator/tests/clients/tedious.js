// What tedious, Node's client of SQL Server, makes of the simulator: a line for each value or error.
//
// Usage: tedious.js types|calls|parameters|errors|cancel off|on|strict PORT USER PASSWORD DATABASE

const { Connection, Request, TYPES } = require('tedious');

const [task, encrypt, port, userName, password, database] = process.argv.slice(2);
const PATTERN = 'abcdefg';

const connection = new Connection({
  server: '127.0.0.1',
  authentication: { type: 'default', options: { userName, password } },
  options: {
    port: Number(port),
    database,
    encrypt: { off: false, on: true, strict: 'strict' }[encrypt],
    trustServerCertificate: true,
    lowerCaseGuids: true,
    textsize: 2147483647,
    maxRetriesOnTransientErrors: 0,
  },
});

function connected() {
  return new Promise((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
}

// Runs a statement as a batch, or with parameters as a call of sp_executesql.
function run(sql, parameters, onRow) {
  return new Promise((resolve, reject) => {
    const request = new Request(sql, (error, count) => (error ? reject(error) : resolve(count)));
    for (const [name, type, value, options] of parameters ?? []) request.addParameter(name, type, value, options);
    request.on('row', onRow ?? (() => {}));
    request.on('done', () => {});
    if (parameters) connection.execSql(request);
    else connection.execSqlBatch(request);
  });
}

function escaped(text) {
  let all = '';
  for (const letter of text) {
    const code = letter.codePointAt(0);
    const hex = (digits) => code.toString(16).padStart(digits, '0');
    all += code < 0x80 ? letter : code < 0x100 ? `\\x${hex(2)}` : code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
  }
  return `'${all}'`;
}

function large(kind, text) {
  const whole = PATTERN.repeat(text.length / PATTERN.length + 1).slice(0, text.length) === text;
  return `${kind} ${text.length} ${whole ? 'as written' : 'MANGLED'}`;
}

// tedious keeps milliseconds in the date and the rest beside it.
function fraction(value) {
  const micros = Math.round(value.getUTCMilliseconds() * 1000 + Math.floor((value.nanosecondsDelta ?? 0) * 1e6 + 1e-6));
  return micros === 0 ? '' : `.${String(micros).padStart(6, '0')}`;
}

function moment(value, type) {
  const [day, time] = value.toISOString().slice(0, 19).split('T');
  if (type === 'Date') return day;
  return type === 'Time' ? time + fraction(value) : `${day}T${time}${fraction(value)}`;
}

function rendered({ value, metadata }) {
  const type = metadata.type.name;
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value instanceof Date) return moment(value, type);
  if (Buffer.isBuffer(value)) {
    if (value.length > 100) return large('bytes', value.toString('latin1'));
    return `b'${[...value].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}'`;
  }
  if (typeof value === 'string' && type !== 'IntN' && type !== 'BigInt' && type !== 'UniqueIdentifier') {
    return value.length > 100 ? large('str', value) : escaped(value);
  }
  return String(value);
}

const READ = 'SELECT *, CAST(c_rowversion AS bigint) AS number FROM dbo.kinds';

function printed(columns) {
  const values = Object.fromEntries(columns.map((column) => [column.metadata.colName, column]));
  const { id, number, c_rowversion: stamp, ...rest } = values;
  for (const [name, column] of Object.entries(rest)) console.log(`${id.value} ${name} ${rendered(column)}`);
  const same = stamp.value.length === 8 && stamp.value.readBigUInt64BE() === BigInt(number.value);
  console.log(`${id.value} c_rowversion ${same ? 'as the server says' : stamp.value.toString('hex')}`);
}

const MOMENT = new Date(Date.UTC(2024, 1, 29, 23, 59, 58, 997));
const GUID = '00112233-4455-6677-8899-aabbccddeeff';
const PARAMETERS = [
  ['Bit', true],
  ['TinyInt', 255],
  ['SmallInt', -32768],
  ['Int', -2147483648],
  ['BigInt', '-9007199254740991'],
  ['Decimal', -1234.5678, { precision: 19, scale: 4 }],
  ['Numeric', 9999999.99, { precision: 9, scale: 2 }],
  ['Money', -1234.5678],
  ['SmallMoney', 214748.3647],
  ['Real', -0.5],
  ['Float', 1.79e308],
  ['Date', MOMENT],
  ['Time', MOMENT, { scale: 3 }],
  ['DateTime', MOMENT],
  ['SmallDateTime', new Date(Date.UTC(2079, 5, 6, 23, 59))],
  ['DateTime2', MOMENT, { scale: 7 }],
  ['DateTimeOffset', MOMENT, { scale: 7 }],
  ['Char', 'ab   '],
  ['VarChar', 'café'],
  ['VarChar', PATTERN.repeat(2000)],
  ['NChar', 'é   '],
  ['NVarChar', 'a😀'],
  ['NVarChar', PATTERN.repeat(2000)],
  ['Text', 'text'],
  ['Binary', Buffer.from([1, 0, 0])],
  ['VarBinary', Buffer.from([0, 255])],
  ['VarBinary', Buffer.from(PATTERN.repeat(2000))],
  ['Image', Buffer.from([255, 0])],
  ['UniqueIdentifier', GUID],
];

async function parameters() {
  for (const [type, value, options] of PARAMETERS) {
    for (const given of [value, null]) {
      const read = (columns) => console.log(`${type} ${rendered(columns[0])}`);
      await run('SELECT @p AS v', [['p', TYPES[type], given, options]], read).catch((error) =>
        console.log(`${type} ${error.number} ${error.message}`),
      );
    }
  }
}

const shown = (error) =>
  [error.number, error.class, error.state, error.lineNumber, error.procName || '-', error.message].join('|');

async function errors() {
  connection.on('infoMessage', (info) => info.number === 50000 && console.log(`info ${shown(info)}`));
  const statements = [
    "RAISERROR(N'Größe %', 16, 7)",
    "RAISERROR(N'only told', 10, 3)",
    'SELECT 1 AS one\n\nSELECT missing\nFROM dbo.kinds',
    "\nINSERT INTO dbo.plain (id)\nVALUES (1)",
    'SELECT 1\nSELEKT 2',
    "\n\nIF 1 = 1\nBEGIN\n  SELECT 1 / 0\nEND",
  ];
  for (const sql of statements) {
    await run(sql).then(
      () => console.log('done'),
      (error) => console.log(`error ${shown(error)}`),
    );
  }
  await run('SELECT @p / 0', [['p', TYPES.Int, 1]]).catch((error) => console.log(`error ${shown(error)}`));
}

async function cancel() {
  let rows = 0;
  const ten = '(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))';
  const many = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${ten} AS ${name}(n)`).join(' CROSS JOIN ');
  for (const sql of ["WAITFOR DELAY '00:05:00'", `SELECT a.n, REPLICATE('x', 500) AS t FROM ${many}`]) {
    const cancelled = run(sql, undefined, () => {
      rows += 1;
      if (rows === 10) connection.cancel();
    });
    if (sql.startsWith('WAIT')) setTimeout(() => connection.cancel(), 300);
    await cancelled.then(
      () => console.log('done'),
      (error) => console.log(`error ${error.code}`),
    );
  }
  console.log(rows < 1000000 ? 'stopped' : 'all rows came');
  await run('SELECT 7 AS seven', undefined, (columns) => console.log(`goes on ${columns[0].value}`));
}

const TASKS = {
  types: () => run(`${READ} ORDER BY id`, undefined, printed),
  calls: () => run(`${READ} WHERE id >= @first ORDER BY id`, [['first', TYPES.Int, 1]], printed),
  parameters,
  errors,
  cancel,
};

connected()
  .then(TASKS[task])
  .then(() => connection.close())
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
