"""How case systems write their extracts, one data file each; `council_node.mapping.profile` reads them."""
