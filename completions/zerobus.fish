# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_zerobus_global_optspecs
    string join \n h/help V/version
end

function __fish_zerobus_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_zerobus_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_zerobus_using_subcommand
    set -l cmd (__fish_zerobus_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c zerobus -n "__fish_zerobus_needs_command" -s h -l help -d 'Print help'
complete -c zerobus -n "__fish_zerobus_needs_command" -s V -l version -d 'Print version'
complete -c zerobus -n "__fish_zerobus_needs_command" -f -a "ingest" -d 'Load NDJSON or CSV rows into a table'
complete -c zerobus -n "__fish_zerobus_needs_command" -f -a "schema" -d 'Look at the schema of a record'
complete -c zerobus -n "__fish_zerobus_needs_command" -f -a "emulator" -d 'Run a local Zerobus: gRPC, OAuth and Delta tables on one port'
complete -c zerobus -n "__fish_zerobus_needs_command" -f -a "gateway" -d 'Serve HTTP: JSON rows in, streams into tables out'
complete -c zerobus -n "__fish_zerobus_needs_command" -f -a "peek" -d 'Show a local table: schema, row count, first rows'
complete -c zerobus -n "__fish_zerobus_needs_command" -f -a "doctor" -d 'Check settings, network, token, table and record before a load, step by step'
complete -c zerobus -n "__fish_zerobus_needs_command" -f -a "completions" -d 'Print the completions of a shell, or install them'
complete -c zerobus -n "__fish_zerobus_needs_command" -f -a "man" -d 'Print a manual page, or write all of them'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l table -d 'The table, as catalog.schema.table' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l endpoint -d 'The Zerobus endpoint [env: ZEROBUS_ENDPOINT]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l workspace-url -d 'The workspace, which hands out tokens [env: DATABRICKS_HOST]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l client-id -d 'The service principal\'s application id [env: DATABRICKS_CLIENT_ID]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l client-secret -d 'Its OAuth secret; other users of the machine can read it here [env: DATABRICKS_CLIENT_SECRET]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l client-secret-file -d 'A file that holds the secret' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l token -d 'A token, instead of id and secret [env: ZEROBUS_TOKEN]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l token-file -d 'A file that holds the token; read again when it is refused' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l token-command -d 'A command that prints a token, or JSON with access_token and expires_in or expiry; run again when the token expires' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l federated-token-file -d 'Workload identity: a file with a JWT to exchange for a token, in place of a secret [env: DATABRICKS_OIDC_TOKEN_FILEPATH]' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l profile -d 'Take what is not given from this profile of ~/.databrickscfg; here it beats the environment [env: DATABRICKS_CONFIG_PROFILE] [default: DEFAULT]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l workspace-id -d 'The workspace\'s id [env: DATABRICKS_WORKSPACE_ID] [default: from the endpoint]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l ca-cert -d 'A PEM file of CAs to trust besides the system\'s' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l header -d 'A header to send with each request, for a gateway in between; repeatable' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l local -d 'Load into Delta tables under DIR, through a server in this process' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l proto -d 'The .proto file that declares the record' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -s I -l proto-path -d 'Where imports are searched [default: the .proto file\'s directory]' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l descriptor-set -d 'A compiled FileDescriptorSet, instead of --proto' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l message -d 'The record\'s message [default: the file\'s only or first one]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l type -d 'The column type of a field, such as price=decimal(10,2); beats @delta, repeatable' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l table-check -d 'Whether the record is compared with the table first; auto: if its schema can be fetched' -r -f -a "auto\t'If Unity Catalog can be asked; a warning if not'
require\t'Or else the load fails'
off\t'Never'"
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l format -d 'How rows are read; auto: by the file\'s name, ndjson for standard input' -r -f -a "auto\t'By the file\'s name'
ndjson\t'One JSON object a line'
json\t'One array of objects, or objects one after another'
csv\t'Comma-separated, with a header'
tsv\t'Tab-separated, with a header'"
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l compression -d 'How inputs are decompressed; auto: each as its first bytes say' -r -f -a "auto\t'As the first bytes say'
none\t'Not at all'
gzip\t'All inputs must be gzip'
zstd\t'All inputs must be zstd'"
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l max-line -d 'The longest row' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l skip -d 'Rows to pass over, counted over all inputs' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l limit -d 'Rows to read at the most, after those' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l min-rows -d 'Fewer rows read are a failure' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l delimiter -d 'Between cells: a character, or \\t [default: by the format]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l quote -d 'Around cells; empty: quotes mean nothing' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l columns -d 'The columns\' names, instead of those in the header' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l null -d 'What means null in a cell without quotes, repeatable [default: an empty cell]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l map -d 'Take a field from a column or key of another name, repeatable' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l set -d 'Set a field in every row; @source, @line, @load_id and @loaded_at tell where it comes from' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l timestamp-unit -d 'What numbers in timestamp fields count [default: us]' -r -f -a "us\t'Microseconds'
ms\t'Milliseconds'
s\t'Seconds'"
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l timezone -d 'The time zone of timestamps without an offset [default: UTC]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l ambiguous -d 'What a time means that occurs twice in the zone [default: reject]' -r -f -a "reject\t'It is a bad row'
earlier\t'The first of the two'
later\t'The second'"
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l unknown-fields -d 'What to do with fields that the record does not have' -r -f -a "error\t'The row is bad'
ignore\t'They are left out'"
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l max-errors -d 'Bad rows tolerated: a number, or a percentage of the rows read' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l rejects -d 'Keep bad rows here, and the reasons in FILE.reasons.ndjson' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l max-inflight -d 'The most records sent and not acknowledged' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l max-inflight-bytes -d 'The most bytes sent and not acknowledged' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l streams -d 'Streams at the same time, a connection each; order is kept only with one' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l batch-records -d 'The most rows of one batch [default: an eighth of --max-inflight]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l batch-bytes -d 'About how many bytes make a batch' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l linger -d 'How long rows of a slow pipe wait for others to fill a batch' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l rate-limit -d 'The most rows a second' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l recovery-timeout -d 'How long one attempt to connect may take' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l recovery-backoff -d 'The wait before the first retry; it doubles with each failure in a row' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l recovery-retries -d 'Retries until the first acknowledgement' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l recovery-deadline -d 'After it: how long to go on trying without a new acknowledgement' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l ack-timeout -d 'Reconnect if nothing is acknowledged for this long' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l flush-timeout -d 'How long acknowledging may take after the last row' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l shutdown-timeout -d 'The same after SIGINT or SIGTERM' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l checkpoint -d 'Keep here how far the load is settled, so that it can go on after whatever happens' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l shard -d 'Load only this share of the inputs, K from 0: an input is in one share of N, by its name' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l progress -d 'How progress is shown; auto: a bar on a terminal, a line every 10 s elsewhere' -r -f -a "auto\t'A bar on a terminal, lines elsewhere'
bar\t'A bar'
plain\t'A line every 10 s'
none\t'Nothing'"
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l metrics-file -d 'Keep the load\'s figures here for Prometheus (text format), written anew every 5 s' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -s o -l output -d 'The form of the summary on standard output' -r -f -a "text\t'For people'
json\t'One JSON object on one line'"
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l allow-plaintext -d 'Allow http:// to another host than this one'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l json -d 'Send rows as JSON records, which the service converts'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l no-header -d 'The first line is a row; columns are the record\'s fields in order, or --columns'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l trim -d 'Take spaces off both ends of cells without quotes'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l allow-epoch -d 'Take numbers whose unit is plainly wrong'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l dry-run -d 'Read, map and check every row; connect nowhere'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l check-first -d 'The same over all inputs, then load'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l no-recovery -d 'Fail at the first fault instead of reconnecting'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -l resume -d 'Go on where the checkpoint stands; begin if there is none'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -s v -l verbose -d 'Tell the steps of the conversation with the service; no secrets'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -s q -l quiet -d 'No progress and no text summary; errors are shown'
complete -c zerobus -n "__fish_zerobus_using_subcommand ingest" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and not __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and not __fish_seen_subcommand_from show" -f -a "show" -d 'Show a record as the service will see it: fields, types and Delta columns'
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and __fish_seen_subcommand_from show" -l proto -d 'The .proto file that declares the record' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and __fish_seen_subcommand_from show" -s I -l proto-path -d 'Where imports are searched [default: the .proto file\'s directory]' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and __fish_seen_subcommand_from show" -l descriptor-set -d 'A compiled FileDescriptorSet, instead of --proto' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and __fish_seen_subcommand_from show" -l message -d 'The record\'s message [default: the file\'s only or first one]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and __fish_seen_subcommand_from show" -l type -d 'The column type of a field, such as price=decimal(10,2); beats @delta, repeatable' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and __fish_seen_subcommand_from show" -l descriptor-out -d 'Write the descriptor that the service is sent, a serialized DescriptorProto' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and __fish_seen_subcommand_from show" -s o -l output -d 'The form on standard output' -r -f -a "text\t'For people'
json\t'One JSON object on one line'"
complete -c zerobus -n "__fish_zerobus_using_subcommand schema; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l dir -d 'Where the Delta tables are: DIR/CATALOG/SCHEMA/TABLE' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l listen -d 'The address to listen on; port 0 takes a free one' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l client -d 'Accepted credentials, repeatable [default: a pair made at start and printed]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l federated-token-file -d 'Exchange the JWT in this file for tokens, too, as workload identity federation does' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l token-ttl -d 'How long a token is valid' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l sql -d 'Databricks SQL to carry out first, repeatable: CREATE TABLE, CREATE SCHEMA, USE, GRANT, REVOKE' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l create -d 'The same as text, repeatable: "CREATE TABLE main.default.t (id BIGINT)"' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l commit-interval -d 'The least spacing of a table\'s Delta commits; 0s: as soon as rows wait' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l fault -d 'A fault on purpose, repeatable: KIND[:KEY=VALUE,...], see --help' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l seed -d 'Settles what faults do by chance: same seed, same order of connections, same faults' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l no-auth -d 'Take any token, or none'
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l tls -d 'Speak TLS with a certificate for localhost; clients must trust the CA in DIR/ca.pem'
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l enforce-grants -d 'Let a client write only where its --client ID, as principal, was granted USE CATALOG, USE SCHEMA, SELECT and MODIFY'
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l auto-create -d 'Make a table that does not exist from the first stream\'s descriptor'
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -l discard -d 'Check records and acknowledge them, store nothing: a sink for measuring'
complete -c zerobus -n "__fish_zerobus_using_subcommand emulator" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l config -d 'Where the service is, and which tables there are' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l listen -d 'The address to listen on; port 0 takes a free one' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l deadline -d 'How long a request may take' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l max-body -d 'The longest body of a request' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l spool -d 'Keep accepted records in files under DIR until they are durable, so that they survive a crash' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l spool-max -d 'How much may lie in the spool' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l dead-letters -d 'Where records go that were accepted and that the service refuses, or that could not be sent before the end [default: dead-letters.ndjson in the spool, or else beside the configuration]' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l log-format -d 'How the log on standard error is written' -r -f -a "text\t'A line of text for each event'
json\t'A JSON object for each event'"
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l local -d 'Write Delta tables under DIR instead of to Databricks, with a server in this process' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l allow-anonymous -d 'Take requests from other machines without a token'
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -l log-requests -d 'Log each request, not only those that fail on the gateway\'s side'
complete -c zerobus -n "__fish_zerobus_using_subcommand gateway" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c zerobus -n "__fish_zerobus_using_subcommand peek" -l local -d 'Where the tables are: DIR/CATALOG/SCHEMA/TABLE' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand peek" -l table -d 'The table; without it all tables are listed' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand peek" -s n -l rows -d 'How many rows to show' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand peek" -s o -l output -d 'The form on standard output' -r -f -a "text\t'For people'
json\t'One JSON object on one line'"
complete -c zerobus -n "__fish_zerobus_using_subcommand peek" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l table -d 'The table, as catalog.schema.table; without it only settings and network are checked' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l endpoint -d 'The Zerobus endpoint [env: ZEROBUS_ENDPOINT]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l workspace-url -d 'The workspace, which hands out tokens [env: DATABRICKS_HOST]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l client-id -d 'The service principal\'s application id [env: DATABRICKS_CLIENT_ID]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l client-secret -d 'Its OAuth secret; other users of the machine can read it here [env: DATABRICKS_CLIENT_SECRET]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l client-secret-file -d 'A file that holds the secret' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l token -d 'A token, instead of id and secret [env: ZEROBUS_TOKEN]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l token-file -d 'A file that holds the token; read again when it is refused' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l token-command -d 'A command that prints a token, or JSON with access_token and expires_in or expiry; run again when the token expires' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l federated-token-file -d 'Workload identity: a file with a JWT to exchange for a token, in place of a secret [env: DATABRICKS_OIDC_TOKEN_FILEPATH]' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l profile -d 'Take what is not given from this profile of ~/.databrickscfg; here it beats the environment [env: DATABRICKS_CONFIG_PROFILE] [default: DEFAULT]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l workspace-id -d 'The workspace\'s id [env: DATABRICKS_WORKSPACE_ID] [default: from the endpoint]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l ca-cert -d 'A PEM file of CAs to trust besides the system\'s' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l header -d 'A header to send with each request, for a gateway in between; repeatable' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l proto -d 'The .proto file that declares the record' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -s I -l proto-path -d 'Where imports are searched [default: the .proto file\'s directory]' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l descriptor-set -d 'A compiled FileDescriptorSet, instead of --proto' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l message -d 'The record\'s message [default: the file\'s only or first one]' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l type -d 'The column type of a field, such as price=decimal(10,2); beats @delta, repeatable' -r
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -s o -l output -d 'The form on standard output' -r -f -a "text\t'For people'
json\t'One JSON object on one line'"
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -l allow-plaintext -d 'Allow http:// to another host than this one'
complete -c zerobus -n "__fish_zerobus_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c zerobus -n "__fish_zerobus_using_subcommand completions" -l install -d 'Put them where the shell looks for them, under the home directory'
complete -c zerobus -n "__fish_zerobus_using_subcommand completions" -s h -l help -d 'Print help'
complete -c zerobus -n "__fish_zerobus_using_subcommand man" -l dir -d 'Write the pages of all commands to this directory' -r -F
complete -c zerobus -n "__fish_zerobus_using_subcommand man" -s h -l help -d 'Print help'
