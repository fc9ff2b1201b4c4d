# Completion of kubectl for fish: kubectl completion fish | source
# The words are kubectl's own (kubectl __complete); this only shows them.

function __kubectl_candidates
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l out ($words[1] __complete $words[2..-1] "$typed" 2>/dev/null)
    or return
    set -l directive (string replace -r '^:' '' -- $out[-1])
    set -e out[-1]
    if test (count $out) -eq 0; and not contains -- "$directive" 4 6
        __fish_complete_path "$typed"
        return
    end
    printf '%s\n' $out
end

complete -c kubectl -e
complete -c kubectl -f -a '(__kubectl_candidates)'
