-- Every film that arrives goes to the node; what the node sends back is a report, and stays.
function OnStoredInstance(instanceId, tags, metadata)
  if metadata['RemoteAET'] ~= 'CXR' then
    SendToModality(instanceId, 'cxr')
  end
end
