#compdef zerobus

autoload -U is-at-least

_zerobus() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_zerobus_commands" \
"*::: :->zerobus" \
&& ret=0
    case $state in
    (zerobus)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:zerobus-command-$line[1]:"
        case $line[1] in
            (ingest)
_arguments "${_arguments_options[@]}" : \
'--table=[The table, as catalog.schema.table]:C.S.T:_default' \
'--endpoint=[The Zerobus endpoint \[env\: ZEROBUS_ENDPOINT\]]:URL:_default' \
'--workspace-url=[The workspace, which hands out tokens \[env\: DATABRICKS_HOST\]]:URL:_default' \
'--client-id=[The service principal'\''s application id \[env\: DATABRICKS_CLIENT_ID\]]:ID:_default' \
'--client-secret=[Its OAuth secret; other users of the machine can read it here \[env\: DATABRICKS_CLIENT_SECRET\]]:SECRET:_default' \
'--client-secret-file=[A file that holds the secret]:FILE:_files' \
'(--client-id)--token=[A token, instead of id and secret \[env\: ZEROBUS_TOKEN\]]:TOKEN:_default' \
'(--client-id)--token-file=[A file that holds the token; read again when it is refused]:FILE:_files' \
'(--client-id)--token-command=[A command that prints a token, or JSON with access_token and expires_in or expiry; run again when the token expires]:CMD:_default' \
'--federated-token-file=[Workload identity\: a file with a JWT to exchange for a token, in place of a secret \[env\: DATABRICKS_OIDC_TOKEN_FILEPATH\]]:FILE:_files' \
'--profile=[Take what is not given from this profile of ~/.databrickscfg; here it beats the environment \[env\: DATABRICKS_CONFIG_PROFILE\] \[default\: DEFAULT\]]:NAME:_default' \
'--workspace-id=[The workspace'\''s id \[env\: DATABRICKS_WORKSPACE_ID\] \[default\: from the endpoint\]]:ID:_default' \
'--ca-cert=[A PEM file of CAs to trust besides the system'\''s]:FILE:_files' \
'*--header=[A header to send with each request, for a gateway in between; repeatable]:NAME=VALUE:_default' \
'(--endpoint --workspace-url --workspace-id --client-id --client-secret --client-secret-file --token --token-file --token-command --federated-token-file --profile --ca-cert --header)--local=[Load into Delta tables under DIR, through a server in this process]:DIR:_files' \
'(--descriptor-set)--proto=[The .proto file that declares the record]:FILE:_files' \
'*-I+[Where imports are searched \[default\: the .proto file'\''s directory\]]:DIR:_files' \
'*--proto-path=[Where imports are searched \[default\: the .proto file'\''s directory\]]:DIR:_files' \
'--descriptor-set=[A compiled FileDescriptorSet, instead of --proto]:FILE:_files' \
'--message=[The record'\''s message \[default\: the file'\''s only or first one\]]:NAME:_default' \
'*--type=[The column type of a field, such as price=decimal(10,2); beats @delta, repeatable]:FIELD=TYPE:_default' \
'--table-check=[Whether the record is compared with the table first; auto\: if its schema can be fetched]:HOW:((auto\:"If Unity Catalog can be asked; a warning if not"
require\:"Or else the load fails"
off\:"Never"))' \
'--format=[How rows are read; auto\: by the file'\''s name, ndjson for standard input]:FORMAT:((auto\:"By the file'\''s name"
ndjson\:"One JSON object a line"
json\:"One array of objects, or objects one after another"
csv\:"Comma-separated, with a header"
tsv\:"Tab-separated, with a header"))' \
'--compression=[How inputs are decompressed; auto\: each as its first bytes say]:HOW:((auto\:"As the first bytes say"
none\:"Not at all"
gzip\:"All inputs must be gzip"
zstd\:"All inputs must be zstd"))' \
'--max-line=[The longest row]:SIZE:_default' \
'--skip=[Rows to pass over, counted over all inputs]:N:_default' \
'--limit=[Rows to read at the most, after those]:N:_default' \
'--min-rows=[Fewer rows read are a failure]:N:_default' \
'--delimiter=[Between cells\: a character, or \\t \[default\: by the format\]]:C:_default' \
'--quote=[Around cells; empty\: quotes mean nothing]:C:_default' \
'*--columns=[The columns'\'' names, instead of those in the header]:A,B,C:_default' \
'*--null=[What means null in a cell without quotes, repeatable \[default\: an empty cell\]]:TEXT:_default' \
'*--map=[Take a field from a column or key of another name, repeatable]:FIELD=COLUMN:_default' \
'*--set=[Set a field in every row; @source, @line, @load_id and @loaded_at tell where it comes from]:FIELD=VALUE:_default' \
'--timestamp-unit=[What numbers in timestamp fields count \[default\: us\]]:TIMESTAMP_UNIT:((us\:"Microseconds"
ms\:"Milliseconds"
s\:"Seconds"))' \
'--timezone=[The time zone of timestamps without an offset \[default\: UTC\]]:ZONE:_default' \
'--ambiguous=[What a time means that occurs twice in the zone \[default\: reject\]]:AMBIGUOUS:((reject\:"It is a bad row"
earlier\:"The first of the two"
later\:"The second"))' \
'--unknown-fields=[What to do with fields that the record does not have]:UNKNOWN_FIELDS:((error\:"The row is bad"
ignore\:"They are left out"))' \
'--max-errors=[Bad rows tolerated\: a number, or a percentage of the rows read]:N|N%:_default' \
'--rejects=[Keep bad rows here, and the reasons in FILE.reasons.ndjson]:FILE:_files' \
'--max-inflight=[The most records sent and not acknowledged]:N:_default' \
'--max-inflight-bytes=[The most bytes sent and not acknowledged]:SIZE:_default' \
'--streams=[Streams at the same time, a connection each; order is kept only with one]:N:_default' \
'--batch-records=[The most rows of one batch \[default\: an eighth of --max-inflight\]]:N:_default' \
'--batch-bytes=[About how many bytes make a batch]:SIZE:_default' \
'--linger=[How long rows of a slow pipe wait for others to fill a batch]:DURATION:_default' \
'--rate-limit=[The most rows a second]:RECORDS_PER_S:_default' \
'--recovery-timeout=[How long one attempt to connect may take]:DURATION:_default' \
'--recovery-backoff=[The wait before the first retry; it doubles with each failure in a row]:DURATION:_default' \
'--recovery-retries=[Retries until the first acknowledgement]:N:_default' \
'--recovery-deadline=[After it\: how long to go on trying without a new acknowledgement]:DURATION:_default' \
'--ack-timeout=[Reconnect if nothing is acknowledged for this long]:DURATION:_default' \
'--flush-timeout=[How long acknowledging may take after the last row]:DURATION:_default' \
'--shutdown-timeout=[The same after SIGINT or SIGTERM]:DURATION:_default' \
'--checkpoint=[Keep here how far the load is settled, so that it can go on after whatever happens]:FILE:_files' \
'--shard=[Load only this share of the inputs, K from 0\: an input is in one share of N, by its name]:K/N:_default' \
'--progress=[How progress is shown; auto\: a bar on a terminal, a line every 10 s elsewhere]:PROGRESS:((auto\:"A bar on a terminal, lines elsewhere"
bar\:"A bar"
plain\:"A line every 10 s"
none\:"Nothing"))' \
'--metrics-file=[Keep the load'\''s figures here for Prometheus (text format), written anew every 5 s]:FILE:_files' \
'-o+[The form of the summary on standard output]:OUTPUT:((text\:"For people"
json\:"One JSON object on one line"))' \
'--output=[The form of the summary on standard output]:OUTPUT:((text\:"For people"
json\:"One JSON object on one line"))' \
'--allow-plaintext[Allow http\:// to another host than this one]' \
'(--proto --descriptor-set --timestamp-unit --timezone --ambiguous --allow-epoch --unknown-fields)--json[Send rows as JSON records, which the service converts]' \
'--no-header[The first line is a row; columns are the record'\''s fields in order, or --columns]' \
'--trim[Take spaces off both ends of cells without quotes]' \
'--allow-epoch[Take numbers whose unit is plainly wrong]' \
'--dry-run[Read, map and check every row; connect nowhere]' \
'(--dry-run)--check-first[The same over all inputs, then load]' \
'--no-recovery[Fail at the first fault instead of reconnecting]' \
'--resume[Go on where the checkpoint stands; begin if there is none]' \
'(-q --quiet)-v[Tell the steps of the conversation with the service; no secrets]' \
'(-q --quiet)--verbose[Tell the steps of the conversation with the service; no secrets]' \
'-q[No progress and no text summary; errors are shown]' \
'--quiet[No progress and no text summary; errors are shown]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'*::inputs -- Files, quoted globs, directories, or - for standard input; without any, standard input is read if it is piped:_default' \
&& ret=0
;;
(schema)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
":: :_zerobus__subcmd__schema_commands" \
"*::: :->schema" \
&& ret=0

    case $state in
    (schema)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:zerobus-schema-command-$line[1]:"
        case $line[1] in
            (show)
_arguments "${_arguments_options[@]}" : \
'(--descriptor-set)--proto=[The .proto file that declares the record]:FILE:_files' \
'*-I+[Where imports are searched \[default\: the .proto file'\''s directory\]]:DIR:_files' \
'*--proto-path=[Where imports are searched \[default\: the .proto file'\''s directory\]]:DIR:_files' \
'--descriptor-set=[A compiled FileDescriptorSet, instead of --proto]:FILE:_files' \
'--message=[The record'\''s message \[default\: the file'\''s only or first one\]]:NAME:_default' \
'*--type=[The column type of a field, such as price=decimal(10,2); beats @delta, repeatable]:FIELD=TYPE:_default' \
'--descriptor-out=[Write the descriptor that the service is sent, a serialized DescriptorProto]:FILE:_files' \
'-o+[The form on standard output]:OUTPUT:((text\:"For people"
json\:"One JSON object on one line"))' \
'--output=[The form on standard output]:OUTPUT:((text\:"For people"
json\:"One JSON object on one line"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(emulator)
_arguments "${_arguments_options[@]}" : \
'--dir=[Where the Delta tables are\: DIR/CATALOG/SCHEMA/TABLE]:DIR:_files' \
'--listen=[The address to listen on; port 0 takes a free one]:ADDRESS:_default' \
'*--client=[Accepted credentials, repeatable \[default\: a pair made at start and printed\]]:ID:SECRET:_default' \
'(--no-auth)--federated-token-file=[Exchange the JWT in this file for tokens, too, as workload identity federation does]:FILE:_files' \
'--token-ttl=[How long a token is valid]:DURATION:_default' \
'*--sql=[Databricks SQL to carry out first, repeatable\: CREATE TABLE, CREATE SCHEMA, USE, GRANT, REVOKE]:FILE:_files' \
'*--create=[The same as text, repeatable\: "CREATE TABLE main.default.t (id BIGINT)"]:STATEMENTS:_default' \
'--commit-interval=[The least spacing of a table'\''s Delta commits; 0s\: as soon as rows wait]:DURATION:_default' \
'*--fault=[A fault on purpose, repeatable\: KIND\[\:KEY=VALUE,...\], see --help]:SPEC:_default' \
'--seed=[Settles what faults do by chance\: same seed, same order of connections, same faults]:N:_default' \
'(--client)--no-auth[Take any token, or none]' \
'--tls[Speak TLS with a certificate for localhost; clients must trust the CA in DIR/ca.pem]' \
'(--no-auth)--enforce-grants[Let a client write only where its --client ID, as principal, was granted USE CATALOG, USE SCHEMA, SELECT and MODIFY]' \
'--auto-create[Make a table that does not exist from the first stream'\''s descriptor]' \
'--discard[Check records and acknowledge them, store nothing\: a sink for measuring]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(gateway)
_arguments "${_arguments_options[@]}" : \
'--config=[Where the service is, and which tables there are]:FILE:_files' \
'--listen=[The address to listen on; port 0 takes a free one]:ADDRESS:_default' \
'--deadline=[How long a request may take]:DURATION:_default' \
'--max-body=[The longest body of a request]:SIZE:_default' \
'--spool=[Keep accepted records in files under DIR until they are durable, so that they survive a crash]:DIR:_files' \
'--spool-max=[How much may lie in the spool]:SIZE:_default' \
'--dead-letters=[Where records go that were accepted and that the service refuses, or that could not be sent before the end \[default\: dead-letters.ndjson in the spool, or else beside the configuration\]]:FILE:_files' \
'--log-format=[How the log on standard error is written]:FORMAT:((text\:"A line of text for each event"
json\:"A JSON object for each event"))' \
'--local=[Write Delta tables under DIR instead of to Databricks, with a server in this process]:DIR:_files' \
'--allow-anonymous[Take requests from other machines without a token]' \
'--log-requests[Log each request, not only those that fail on the gateway'\''s side]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(peek)
_arguments "${_arguments_options[@]}" : \
'()--local=[Where the tables are\: DIR/CATALOG/SCHEMA/TABLE]:DIR:_files' \
'--table=[The table; without it all tables are listed]:CATALOG.SCHEMA.TABLE:_default' \
'-n+[How many rows to show]:N:_default' \
'--rows=[How many rows to show]:N:_default' \
'-o+[The form on standard output]:OUTPUT:((text\:"For people"
json\:"One JSON object on one line"))' \
'--output=[The form on standard output]:OUTPUT:((text\:"For people"
json\:"One JSON object on one line"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'::path -- The directory of a table, or of tables, as with --local:_files' \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
'--table=[The table, as catalog.schema.table; without it only settings and network are checked]:C.S.T:_default' \
'--endpoint=[The Zerobus endpoint \[env\: ZEROBUS_ENDPOINT\]]:URL:_default' \
'--workspace-url=[The workspace, which hands out tokens \[env\: DATABRICKS_HOST\]]:URL:_default' \
'--client-id=[The service principal'\''s application id \[env\: DATABRICKS_CLIENT_ID\]]:ID:_default' \
'--client-secret=[Its OAuth secret; other users of the machine can read it here \[env\: DATABRICKS_CLIENT_SECRET\]]:SECRET:_default' \
'--client-secret-file=[A file that holds the secret]:FILE:_files' \
'(--client-id)--token=[A token, instead of id and secret \[env\: ZEROBUS_TOKEN\]]:TOKEN:_default' \
'(--client-id)--token-file=[A file that holds the token; read again when it is refused]:FILE:_files' \
'(--client-id)--token-command=[A command that prints a token, or JSON with access_token and expires_in or expiry; run again when the token expires]:CMD:_default' \
'--federated-token-file=[Workload identity\: a file with a JWT to exchange for a token, in place of a secret \[env\: DATABRICKS_OIDC_TOKEN_FILEPATH\]]:FILE:_files' \
'--profile=[Take what is not given from this profile of ~/.databrickscfg; here it beats the environment \[env\: DATABRICKS_CONFIG_PROFILE\] \[default\: DEFAULT\]]:NAME:_default' \
'--workspace-id=[The workspace'\''s id \[env\: DATABRICKS_WORKSPACE_ID\] \[default\: from the endpoint\]]:ID:_default' \
'--ca-cert=[A PEM file of CAs to trust besides the system'\''s]:FILE:_files' \
'*--header=[A header to send with each request, for a gateway in between; repeatable]:NAME=VALUE:_default' \
'(--descriptor-set)--proto=[The .proto file that declares the record]:FILE:_files' \
'*-I+[Where imports are searched \[default\: the .proto file'\''s directory\]]:DIR:_files' \
'*--proto-path=[Where imports are searched \[default\: the .proto file'\''s directory\]]:DIR:_files' \
'--descriptor-set=[A compiled FileDescriptorSet, instead of --proto]:FILE:_files' \
'--message=[The record'\''s message \[default\: the file'\''s only or first one\]]:NAME:_default' \
'*--type=[The column type of a field, such as price=decimal(10,2); beats @delta, repeatable]:FIELD=TYPE:_default' \
'-o+[The form on standard output]:OUTPUT:((text\:"For people"
json\:"One JSON object on one line"))' \
'--output=[The form on standard output]:OUTPUT:((text\:"For people"
json\:"One JSON object on one line"))' \
'--allow-plaintext[Allow http\:// to another host than this one]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'--install[Put them where the shell looks for them, under the home directory]' \
'-h[Print help]' \
'--help[Print help]' \
'::shell -- The shell \[default\: that of SHELL\]:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(man)
_arguments "${_arguments_options[@]}" : \
'--dir=[Write the pages of all commands to this directory]:DIR:_files' \
'-h[Print help]' \
'--help[Print help]' \
'*::command -- The command, such as `ingest` or `schema show` \[default\: zerobus itself\]:_default' \
&& ret=0
;;
        esac
    ;;
esac
}

(( $+functions[_zerobus_commands] )) ||
_zerobus_commands() {
    local commands; commands=(
'ingest:Load NDJSON or CSV rows into a table' \
'schema:Look at the schema of a record' \
'emulator:Run a local Zerobus\: gRPC, OAuth and Delta tables on one port' \
'gateway:Serve HTTP\: JSON rows in, streams into tables out' \
'peek:Show a local table\: schema, row count, first rows' \
'doctor:Check settings, network, token, table and record before a load, step by step' \
'completions:Print the completions of a shell, or install them' \
'man:Print a manual page, or write all of them' \
    )
    _describe -t commands 'zerobus commands' commands "$@"
}
(( $+functions[_zerobus__subcmd__completions_commands] )) ||
_zerobus__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'zerobus completions commands' commands "$@"
}
(( $+functions[_zerobus__subcmd__doctor_commands] )) ||
_zerobus__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'zerobus doctor commands' commands "$@"
}
(( $+functions[_zerobus__subcmd__emulator_commands] )) ||
_zerobus__subcmd__emulator_commands() {
    local commands; commands=()
    _describe -t commands 'zerobus emulator commands' commands "$@"
}
(( $+functions[_zerobus__subcmd__gateway_commands] )) ||
_zerobus__subcmd__gateway_commands() {
    local commands; commands=()
    _describe -t commands 'zerobus gateway commands' commands "$@"
}
(( $+functions[_zerobus__subcmd__ingest_commands] )) ||
_zerobus__subcmd__ingest_commands() {
    local commands; commands=()
    _describe -t commands 'zerobus ingest commands' commands "$@"
}
(( $+functions[_zerobus__subcmd__man_commands] )) ||
_zerobus__subcmd__man_commands() {
    local commands; commands=()
    _describe -t commands 'zerobus man commands' commands "$@"
}
(( $+functions[_zerobus__subcmd__peek_commands] )) ||
_zerobus__subcmd__peek_commands() {
    local commands; commands=()
    _describe -t commands 'zerobus peek commands' commands "$@"
}
(( $+functions[_zerobus__subcmd__schema_commands] )) ||
_zerobus__subcmd__schema_commands() {
    local commands; commands=(
'show:Show a record as the service will see it\: fields, types and Delta columns' \
    )
    _describe -t commands 'zerobus schema commands' commands "$@"
}
(( $+functions[_zerobus__subcmd__schema__subcmd__show_commands] )) ||
_zerobus__subcmd__schema__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'zerobus schema show commands' commands "$@"
}

if [ "$funcstack[1]" = "_zerobus" ]; then
    _zerobus "$@"
else
    compdef _zerobus zerobus
fi
